// Finds and reads what Portico brings along in static/: the template of error pages and its words.

import { readOwnFile } from '../../executable/own-file.ts';

/** What a page says: a title, what happened, what the visitor can do. */
export interface Words {
  readonly title: string;
  readonly what: string;
  readonly advice: string;
}

export interface OwnPages {
  readonly template: string;
  /** By status, and by class ("4xx") for those that have no row. */
  readonly words: ReadonlyMap<string, Words>;
}

/** Null where static/ did not come along: then errors are told in text and JSON only. */
export function readOwnPages(): OwnPages | null {
  const template = readOwnFile('static/error.html');
  const table = readOwnFile('static/errors.json');
  if (template === null || table === null) return null;
  const rows = Object.entries(JSON.parse(table) as Record<string, [string, string, string]>);
  return {
    template,
    words: new Map(rows.map(([key, [title, what, advice]]) => [key, { title, what, advice }])),
  };
}
