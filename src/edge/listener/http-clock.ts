// The time as the Date field wants it (RFC 9110 section 5.6.7), made once a second.

let text = '';
let staleAtMs = -1;

/** `nowMs` is performance.now(), which the caller has at hand. */
export function httpDate(nowMs: number): string {
  if (nowMs >= staleAtMs) {
    const wall = Date.now();
    text = new Date(wall).toUTCString();
    staleAtMs = nowMs + 1000 - (wall % 1000);
  }
  return text;
}
