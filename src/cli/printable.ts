// Text of others for a terminal.

/** C0 and C1 controls move the cursor and more; bidi controls (and line separators) show one thing as another. */
const unsafe = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** What could do something to a terminal becomes \u{…}. */
export function printable(text: string): string {
  return text.replaceAll(unsafe, (char) => `\\u{${char.charCodeAt(0).toString(16)}}`);
}

/** JSON with the same characters escaped, which is the same JSON. */
export function printableJson(value: unknown): string {
  const escaped = (char: string) =>
    char === '\n' ? char : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return `${JSON.stringify(value, null, 2).replaceAll(unsafe, escaped)}\n`;
}
