// Whether a file's name holds a hash of its content, as build tools write it: such a file never changes. Pure.

/**
 * `app.3f2a9c1b.js` (webpack, Rails, Django, Parcel: hex), `index-BxYz1234.css` (Vite, Rollup: 8 of
 * base64url), `chunk-K5QLYVTH.js` (esbuild: 8 of base32), `DlAUqK2U.js` (Nuxt: nothing but the
 * hash). It is the end of the stem, after "." or "-". What could as well be words, a number or a
 * date is none: to be wrong there would freeze a file for a year in every browser, while a hash that
 * isn't seen costs one 304.
 */
export function isFingerprinted(name: string): boolean {
  const stem = name.replace(endings, '');
  if (stem === name) return false;
  const hex = /(?:^|[.-])([0-9a-f]{8,64})$/.exec(stem)?.[1];
  // Digits alone are a date or a number; of 8 random hexadecimal digits 1 in 43 are, too.
  if (hex !== undefined) return /\d/.test(hex) && /[a-f]/.test(hex);
  if (/^[A-Za-z0-9]+$/.test(stem)) return isMixedHash(stem) && changesOf(stem) > 3;
  const part =
    /[.-]([A-Za-z0-9_]{8,32})$/.exec(stem)?.[1] ?? /[.-]([A-Za-z0-9_-]{8})$/.exec(stem)?.[1];
  return part !== undefined && isMixedHash(part);
}

const endings =
  /(\.(chunk|min|module|bundle|worker|legacy))?\.[A-Za-z][A-Za-z0-9]{0,10}(\.map|\.LICENSE\.txt)?$/;

function isMixedHash(text: string): boolean {
  if (!/^[A-Za-z0-9_-]{8,32}$/.test(text)) return false;
  if (/^[A-Z2-7]{8}$/.test(text)) return /\d[A-Z]/.test(text);
  // "iPhone15", "footerBar", "my-Page1", "IMG_1234", "v1_2".
  if (text.split(/[_-]/).every((part) => wordOrNumber.test(part))) return false;
  return /[a-z]/.test(text) && /[A-Z]/.test(text) && changesOf(text) > 2;
}

const wordOrNumber = /^([a-z]?([A-Z]?[a-z]{2,})*|[A-Z]*|[a-z])\d*$/;

/** How often small letters, capitals, digits and the rest take turns: 4 or 5 times in 8 random ones. */
function changesOf(text: string): number {
  return (text.match(/[a-z]+|[A-Z]+|\d+|[_-]+/g)?.length ?? 1) - 1;
}
