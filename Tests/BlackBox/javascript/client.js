// SPDX-License-Identifier: Apache-2.0
// The official Socket.IO client, told what to do by lines of JSON, telling what happens by others.
// Usage: node client.js CLIENT-FILE URL OPTIONS
"use strict";

require("./browser.js");

const [, , file, url, options] = process.argv;
const io = require(file);
const tell = (what, value) => process.stdout.write(JSON.stringify({ what, value }) + "\n");

const socket = io(url, {
  ...JSON.parse(options),
  reconnectionDelay: 50,
  reconnectionDelayMax: 100,
});
const transport = () => socket.io.engine.transport.name;

socket.on("connect", () => {
  tell("connect", { id: socket.id, recovered: socket.recovered, transport: transport() });
  socket.io.engine.on("upgrade", () => tell("upgrade", transport()));
});
socket.on("connect_error", (error) => tell("connect_error", error.message));
socket.on("disconnect", (reason) => tell("disconnect", reason));
socket.onAny((name, data) => tell("event", { name, data }));

require("readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { emit, data } = JSON.parse(line);
    socket.emit(emit, data, (answer) => tell("ack", answer));
  })
  .on("close", () => process.exit(0));
