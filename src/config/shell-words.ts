// Splits text into words as a POSIX shell does, without expanding anything.

export interface ShellWords {
  readonly words: string[];
  /** Where the quote is that is not closed; the words are those before it. */
  readonly unclosedAt: number | null;
}

export function shellWords(text: string): ShellWords {
  const words: string[] = [];
  let word: string | null = null;
  let quote = '';
  let quoteAt = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (quote === "'") {
      if (char === "'") quote = '';
      else word += char;
    } else if (quote === '"') {
      if (char === '"') quote = '';
      // Within double quotes a backslash escapes only these (POSIX XCU section 2.2.3).
      else if (char === '\\' && /[$`"\\\n]/.test(text[at + 1] ?? '')) word += text[++at]!;
      else word += char;
    } else if (char === "'" || char === '"') {
      quote = char;
      quoteAt = at;
      word ??= '';
    } else if (char === '\\' && at + 1 < text.length) {
      word = (word ?? '') + text[++at]!;
    } else if (/\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (quote !== '') return { words, unclosedAt: quoteAt };
  if (word !== null) words.push(word);
  return { words, unclosedAt: null };
}
