// How values come from JavaScript and go back.

#include "native.h"

// Small ones are cheap: no number of theirs is made on the heap.
napi_value number(napi_env env, int64_t value) {
  napi_value result;
  napi_status status = value == (int32_t)value ? napi_create_int32(env, (int32_t)value, &result)
                                               : napi_create_int64(env, value, &result);
  return status == napi_ok ? result : NULL;
}

// Of other arrays the length would not be in bytes.
bool take_bytes(napi_env env, napi_value value, void **bytes, size_t *length) {
  napi_typedarray_type type;
  return napi_get_typedarray_info(env, value, &type, length, bytes, NULL, NULL) == napi_ok && type == napi_uint8_array;
}

// Text is put behind what is in `text` already. False: of another type, or more text than there is room for.
bool take_text_or_bytes(napi_env env, napi_value value, struct iovec *piece, char *text, size_t *used) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok) return false;
  if (type != napi_string) return take_bytes(env, value, &piece->iov_base, &piece->iov_len);
  size_t length, room = TEXT_MAX - *used;
  char *start = text + *used;
  // What is too long is cut to what there is room for, a NUL at its end included: it is not asked for its length first.
  if (room == 0 || napi_get_value_string_latin1(env, value, start, room, &length) != napi_ok) return false;
  if (length == room - 1) return false;
  *used += length;
  *piece = (struct iovec){start, length};
  return true;
}
