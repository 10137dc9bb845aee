// Byte classes of HTTP as 256-entry tables, and comparisons that need no lower-cased copies.

export const CR = 13;
export const LF = 10;
export const HTAB = 9;
export const SP = 32;
export const COLON = 58;
export const DEL = 127;

function table(allowed: string | ((byte: number) => boolean)): Uint8Array {
  const test =
    typeof allowed === 'string'
      ? (byte: number) => allowed.includes(String.fromCharCode(byte))
      : allowed;
  return Uint8Array.from({ length: 256 }, (_, byte) => (test(byte) ? 1 : 0));
}

const digits = '0123456789';
const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** tchar of a token: methods, field names (RFC 9110 section 5.6.2). */
export const isTokenByte = table(`${digits}${letters}!#$%&'*+-.^_\`|~`);

/** field-vchar, space and tab: all that a field value may hold; obs-text 0x80–0xFF included
 *  (RFC 9110 section 5.5). CR, LF, NUL and the other control bytes are not in it. */
export const isValueByte = table((byte) => byte === HTAB || (byte >= SP && byte !== DEL));

/** What a request target may hold: visible ASCII but "#". Stricter than RFC 3986 only in that, and
 *  laxer for the likes of `|` and `{`, which real clients leave unencoded. */
export const isTargetByte = table((byte) => byte > SP && byte < 127 && byte !== 35);

/** unreserved and sub-delims of a registered name (RFC 3986 section 3.2.2); "%" is checked apart. */
export const isHostByte = table(`${digits}${letters}-._~!$&'()*+,;=`);

/** Value of a hexadecimal digit, or 255. */
export const hexValue = Uint8Array.from({ length: 256 }, (_, byte) => {
  const at = '0123456789abcdef'.indexOf(String.fromCharCode(byte).toLowerCase());
  return at === -1 ? 255 : at;
});

/** Whether `text` from `start` to `end` is `lower`, whatever its case. For letters, digits and "-":
 *  setting bit 5 maps no other visible byte onto them. */
export function equalsLower(text: string, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false;
  for (let index = 0; index < lower.length; index++) {
    if ((text.charCodeAt(start + index) | 32) !== lower.charCodeAt(index)) return false;
  }
  return true;
}

/** Whether the whole of `text` is `lower`, whatever its case. */
export function sameName(text: string, lower: string): boolean {
  return equalsLower(text, 0, text.length, lower);
}

export function isToken(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 255 || isTokenByte[code] === 0) return false;
  }
  return text.length > 0;
}

/** Text of a client made safe for one line of a log or an answer: printable ASCII, shortened. */
export function excerpt(text: string, lengthMax = 40): string {
  let safe = '';
  for (let index = 0; index < text.length && index < lengthMax; index++) {
    const code = text.charCodeAt(index);
    safe += code >= SP && code < 127 && code !== 34 ? text[index] : '?';
  }
  return text.length > lengthMax ? `"${safe}..."` : `"${safe}"`;
}
