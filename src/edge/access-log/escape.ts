// Makes text from outside fit for a line of a log, so that no client can forge lines or fields.

const unsafe = /[^\x20-\x21\x23-\x5b\x5d-\x7e]/;
const eachUnsafe = /[^\x20-\x21\x23-\x5b\x5d-\x7e]/g;

/** Control bytes, quotes, backslashes and what isn't ASCII become \xHH, as nginx writes them. The
 *  text is Latin-1, one character a byte. */
export function escaped(text: string): string {
  return unsafe.test(text) ? text.replace(eachUnsafe, hex) : text;
}

function hex(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

/** JSON with nothing but printable ASCII: JSON itself leaves DEL and C1 controls as they are, which
 *  a terminal would obey. */
export function asciiJson(value: object): string {
  const text = JSON.stringify(value);
  return /[\x7f-\uffff]/.test(text) ? text.replace(/[\x7f-\uffff]/g, unicode) : text;
}

function unicode(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
