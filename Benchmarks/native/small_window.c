// SPDX-License-Identifier: Apache-2.0
// Opens sockets for which the kernel keeps little.
#define _GNU_SOURCE
#include "small_window.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http1.h"

int small_window_connect(uint16_t port) {
  int client = socket(AF_INET, SOCK_STREAM, 0);
  if (client < 0) return -1;
  int segment = 536, window = 1;
  setsockopt(client, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
  setsockopt(client, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
  socket_prepare(client);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(client, (struct sockaddr *)&address, sizeof address) == 0) return client;
  if (errno == EINPROGRESS) return client;
  int reason = errno;
  close(client);
  errno = reason;
  return -1;
}
