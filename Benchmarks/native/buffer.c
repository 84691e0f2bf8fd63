// SPDX-License-Identifier: Apache-2.0
// Grows, fills and drains the byte buffers of the load tools.
#include "buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void buffer_reserve(struct buffer *buffer, size_t extra) {
  if (buffer->capacity - buffer->end >= extra) return;
  size_t count = buffer_count(buffer);
  if (buffer->start > 0 && count > 0) memmove(buffer->bytes, buffer_head(buffer), count);
  buffer->start = 0;
  buffer->end = count;
  if (buffer->capacity - count >= extra) return;
  size_t capacity = buffer->capacity ? buffer->capacity : 4096;
  while (capacity - count < extra) capacity *= 2;
  char *bytes = realloc(buffer->bytes, capacity);
  if (!bytes) {
    fputs("out of memory\n", stderr);
    exit(2);
  }
  buffer->bytes = bytes;
  buffer->capacity = capacity;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t count) {
  buffer_reserve(buffer, count + 1);
  memcpy(buffer->bytes + buffer->end, bytes, count);
  buffer->end += count;
}

void buffer_printf(struct buffer *buffer, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int count = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (count < 0) return;
  buffer_reserve(buffer, (size_t)count + 1);
  va_start(arguments, format);
  vsnprintf(buffer->bytes + buffer->end, (size_t)count + 1, format, arguments);
  va_end(arguments);
  buffer->end += (size_t)count;
}

void buffer_clear(struct buffer *buffer) { buffer->start = buffer->end = 0; }

void buffer_consume(struct buffer *buffer, size_t count) {
  buffer->start += count;
  if (buffer->start == buffer->end) buffer_clear(buffer);
}

void buffer_free(struct buffer *buffer) {
  free(buffer->bytes);
  memset(buffer, 0, sizeof *buffer);
}

int buffer_fill(struct buffer *buffer, int socket) {
  for (;;) {
    buffer_reserve(buffer, 16384);
    size_t room = buffer->capacity - buffer->end;
    ssize_t count = recv(socket, buffer->bytes + buffer->end, room, 0);
    if (count == 0) return 0;
    if (count < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? 1 : -1;
    }
    buffer->end += (size_t)count;
    if ((size_t)count < room) return 1;
  }
}

int buffer_flush(struct buffer *buffer, int socket) {
  while (buffer_count(buffer) > 0) {
    ssize_t count = send(socket, buffer_head(buffer), buffer_count(buffer), MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
    }
    buffer_consume(buffer, (size_t)count);
  }
  return 1;
}
