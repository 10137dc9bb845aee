// What the files of native/ share: how values come from JavaScript and go back, and the functions of each file.

#ifndef PORTICO_NATIVE_H
#define PORTICO_NATIVE_H

#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

// A response head is 200 to 400 bytes; longer text goes through Node.
enum { TEXT_MAX = 16 * 1024 };

napi_value number(napi_env env, int64_t value);
bool take_bytes(napi_env env, napi_value value, void **bytes, size_t *length);
bool take_text_or_bytes(napi_env env, napi_value value, struct iovec *piece, char *text, size_t *used);

napi_value send_pieces(napi_env env, napi_callback_info info);
ssize_t send_head(int socket, struct iovec head);

napi_value pages(napi_env env, napi_callback_info info);
napi_value lend(napi_env env, napi_callback_info info);

napi_value poll_start(napi_env env, napi_callback_info info);
napi_value poll_add(napi_env env, napi_callback_info info);
napi_value poll_remove(napi_env env, napi_callback_info info);
napi_value poll_read(napi_env env, napi_callback_info info);
napi_value poll_send_file(napi_env env, napi_callback_info info);
napi_value poll_sent(napi_env env, napi_callback_info info);
napi_value poll_stop_sending(napi_env env, napi_callback_info info);

napi_value wait_for(napi_env env, napi_callback_info info);
napi_value schedule_as_batch(napi_env env, napi_callback_info info);

#endif
