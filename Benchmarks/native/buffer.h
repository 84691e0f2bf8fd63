// SPDX-License-Identifier: Apache-2.0
// A growing byte buffer that is filled at its end and consumed at its start.
#ifndef ORRERY_BENCH_BUFFER_H
#define ORRERY_BENCH_BUFFER_H

#include <stddef.h>
#include <sys/types.h>

struct buffer {
  char *bytes;
  size_t start;
  size_t end;
  size_t capacity;
};

/// Makes room for `extra` bytes after the end; ends the process when memory is out.
void buffer_reserve(struct buffer *buffer, size_t extra);
void buffer_append(struct buffer *buffer, const void *bytes, size_t count);
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_clear(struct buffer *buffer);
void buffer_consume(struct buffer *buffer, size_t count);
void buffer_free(struct buffer *buffer);

static inline size_t buffer_count(const struct buffer *buffer) {
  return buffer->end - buffer->start;
}
static inline char *buffer_head(const struct buffer *buffer) {
  return buffer->bytes + buffer->start;
}

/// Reads what the socket has. 1: something was read or nothing is there now; 0: end; -1: error.
int buffer_fill(struct buffer *buffer, int socket);

/// Sends what it can. 1: all sent; 0: the socket is full; -1: error.
int buffer_flush(struct buffer *buffer, int socket);

#endif
