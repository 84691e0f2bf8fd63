// SPDX-License-Identifier: Apache-2.0
// What the Socket.IO client finds in a browser, made of node's own http: enough of it for tests.
"use strict";

const crypto = require("crypto");
const http = require("http");

class XMLHttpRequest {
  constructor() {
    this.readyState = 0;
    this.status = 0;
    this.responseText = "";
    this.withCredentials = false;
    this.headers = {};
  }

  open(method, url) {
    this.method = method;
    this.url = url;
  }

  setRequestHeader(name, value) {
    if (value !== "*/*") this.headers[name] = value;
  }

  getResponseHeader() {
    return null;
  }

  send(body) {
    const options = { method: this.method, headers: this.headers };
    this.request = http.request(this.url, options, (response) => {
      response.setEncoding("utf8");
      response.on("data", (text) => (this.responseText += text));
      response.on("end", () => this.finish(response.statusCode));
      response.on("error", () => this.finish(0));
    });
    this.request.on("error", () => this.finish(0));
    this.request.end(body);
  }

  finish(status) {
    if (this.readyState === 4) return;
    this.readyState = 4;
    this.status = status;
    if (this.onreadystatechange) this.onreadystatechange();
  }

  abort() {
    this.readyState = 4;
    if (this.request) this.request.destroy();
  }
}

class WebSocket {
  constructor(url) {
    const headers = {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": crypto.randomBytes(16).toString("base64"),
    };
    this.input = Buffer.alloc(0);
    const request = http.request(url.replace(/^ws/, "http"), { headers, agent: false });
    request.on("upgrade", (_, socket, head) => this.opened(socket, head));
    request.on("response", () => this.failed());
    request.on("error", () => this.failed());
    request.end();
  }

  opened(socket, head) {
    this.socket = socket;
    socket.on("data", (data) => this.received(data));
    socket.on("error", () => {});
    socket.on("close", () => this.ended());
    this.onopen({});
    this.received(head);
  }

  failed() {
    if (this.onerror) this.onerror(new Error("no WebSocket"));
  }

  ended() {
    if (!this.isEnded && this.onclose) this.onclose({ code: 1006, reason: "" });
    this.isEnded = true;
  }

  received(data) {
    this.input = Buffer.concat([this.input, data]);
    for (let frame = this.frame(); frame; frame = this.frame()) this.take(frame);
  }

  // The server does not mask, and sends messages in one piece.
  frame() {
    if (this.input.length < 2) return null;
    let [start, length] = [2, this.input[1] & 127];
    const longer = { 126: 2, 127: 8 }[length] || 0;
    start += longer;
    if (this.input.length < start) return null;
    if (longer) length = this.input.readUIntBE(start - Math.min(longer, 6), Math.min(longer, 6));
    if (this.input.length < start + length) return null;
    const frame = { kind: this.input[0] & 15, data: this.input.subarray(start, start + length) };
    this.input = this.input.subarray(start + length);
    return frame;
  }

  take({ kind, data }) {
    if (kind === 1) this.onmessage({ data: data.toString() });
    if (kind === 2) this.onmessage({ data: Uint8Array.from(data).buffer });
    if (kind === 8) this.socket.end();
    if (kind === 9) this.write(10, data);
  }

  send(data) {
    this.write(typeof data === "string" ? 1 : 2, Buffer.from(data));
  }

  close() {
    if (this.socket) this.write(8, Buffer.alloc(0));
  }

  write(kind, data) {
    const length = data.length;
    const head = [0x80 | kind];
    if (length < 126) head.push(0x80 | length);
    else head.push(0x80 | 126, length >> 8, length & 255);
    const mask = crypto.randomBytes(4);
    const masked = Buffer.from(data.map((byte, index) => byte ^ mask[index & 3]));
    this.socket.write(Buffer.concat([Buffer.from(head), mask, masked]));
  }
}

Object.assign(globalThis, { XMLHttpRequest, WebSocket });
