// SPDX-License-Identifier: Apache-2.0
// Signs the requests of an agent.
#include "agent_call.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

void agent_call(struct buffer *out, struct identity *identity, const char *path, const char *body,
                size_t count) {
  char id[64], timestamp[24], signature[SIGNATURE_SIZE];
  int id_count = snprintf(id, sizeof id, "msg_load_%d_%llu", (int)getpid(),
                          (unsigned long long)++identity->sequence);
  int timestamp_count = snprintf(timestamp, sizeof timestamp, "%lld", (long long)time(NULL));
  signer_sign(identity->signer, id, (size_t)id_count, timestamp, (size_t)timestamp_count, body,
              count, signature);
  buffer_printf(out,
                "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%u\r\ncontent-type: application/json\r\n"
                "content-length: %zu\r\nx-agent-id: %s\r\nwebhook-id: %s\r\n"
                "webhook-timestamp: %s\r\nwebhook-signature: %s\r\n\r\n",
                path, identity->port, count, identity->agent, id, timestamp, signature);
  buffer_append(out, body, count);
}
