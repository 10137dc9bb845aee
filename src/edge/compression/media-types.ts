// Which media types are worth compressing: text in its many names, and a few others that shrink.

/** Beside text/* and what ends in +json, +xml or +text. Images, video, archives and WOFF are
 *  compressed already: they would only cost time. */
const compressible = new Set([
  'application/ecmascript',
  'application/graphql',
  'application/javascript',
  'application/json',
  'application/json5',
  'application/jsonl',
  'application/rtf',
  'application/sql',
  'application/toml',
  'application/vnd.ms-fontobject',
  'application/wasm',
  'application/x-javascript',
  'application/x-ndjson',
  'application/x-sh',
  'application/x-yaml',
  'application/xml',
  'application/xml-dtd',
  'application/yaml',
  'font/otf',
  'font/ttf',
  'image/bmp',
  'image/vnd.microsoft.icon',
  'image/x-icon',
]);

/** Whether content of this Content-Type shrinks; `more` are types in lower case that do too. */
export function isCompressible(contentType: string, more: readonly string[]): boolean {
  const semicolon = contentType.indexOf(';');
  const type = (semicolon === -1 ? contentType : contentType.slice(0, semicolon))
    .trim()
    .toLowerCase();
  return (
    type.startsWith('text/') ||
    compressible.has(type) ||
    /\+(json|xml|text)$/.test(type) ||
    more.includes(type)
  );
}
