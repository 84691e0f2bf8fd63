// SPDX-License-Identifier: Apache-2.0
// Opens WebSockets and reads and writes their frames.
#include "websocket.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FRAME = 1 << 26 };

// Every socket sends the same key: it only shows that the server knows WebSocket.
static const char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char accept_of_key[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

enum parsed websocket_parse(char *bytes, size_t available, struct websocket_frame *frame,
                            size_t *consumed) {
  if (available < 2) return PARSED_INCOMPLETE;
  const unsigned char *head = (const unsigned char *)bytes;
  if ((head[0] & 0xf0) != 0x80 || (head[1] & 0x80) != 0) return PARSED_BAD;
  size_t head_count = head[1] == 127 ? 10 : head[1] == 126 ? 4 : 2;
  if (available < head_count) return PARSED_INCOMPLETE;
  uint64_t count = head_count == 2 ? head[1] : 0;
  for (size_t index = 2; index < head_count; index++) count = count << 8 | head[index];
  if (count > MAX_FRAME) return PARSED_BAD;
  if (available - head_count < count) return PARSED_INCOMPLETE;
  *frame = (struct websocket_frame){
      .opcode = head[0] & 0x0f, .payload = bytes + head_count, .count = (size_t)count};
  *consumed = head_count + (size_t)count;
  return PARSED_WHOLE;
}

void websocket_append(struct buffer *out, unsigned opcode, const void *payload, size_t count) {
  static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
  unsigned char head[4] = {(unsigned char)(0x80 | opcode)};
  bool is_long = count > 125;
  if (count > 0xffff) abort();  // the tools have nothing so large to say
  head[1] = (unsigned char)(0x80 | (is_long ? 126 : count));
  head[2] = (unsigned char)(count >> 8);
  head[3] = (unsigned char)count;
  buffer_append(out, head, is_long ? 4 : 2);
  buffer_append(out, mask, sizeof mask);
  buffer_append(out, payload, count);
  unsigned char *masked = (unsigned char *)out->bytes + out->end - count;
  for (size_t index = 0; index < count; index++) masked[index] ^= mask[index % 4];
}

void websocket_request(struct buffer *out, uint16_t port, const char *path, const char *token) {
  buffer_printf(out,
                "GET %s HTTP/1.1\r\nhost: 127.0.0.1:%u\r\nauthorization: Bearer %s\r\n"
                "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
                "sec-websocket-key: %s\r\n\r\n",
                path, port, token, key);
}

bool websocket_accepted(const struct message *answer) {
  size_t count = 0;
  const char *accept = message_header(answer, "sec-websocket-accept", &count);
  return answer->status == 101 && accept && count == sizeof accept_of_key - 1 &&
         memcmp(accept, accept_of_key, count) == 0;
}
