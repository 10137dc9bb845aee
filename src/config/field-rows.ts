// The fields that an object in a config file may have, as a table: from it they are read, shown and documented.

import type { Kind } from './kinds.ts';

/** `Name` is the field's in T, which may be another than in a config file. */
export interface FieldRow<T, Name extends keyof T = keyof T> {
  /** In a config file. */
  readonly key: string;
  readonly field: Name;
  readonly kind: Kind<T[Name]>;
  readonly default: T[Name];
  /** One sentence without its full stop. */
  readonly help: string;
}

/** Checks a row by its own field, for a list of rows of all fields. */
export const rowsOf =
  <T>() =>
  <Name extends keyof T>(row: FieldRow<T, Name>): FieldRow<T> =>
    row as unknown as FieldRow<T>;

export function defaultsOf<T>(rows: readonly FieldRow<T>[]): T {
  return Object.fromEntries(rows.map((row) => [row.field, row.default])) as T;
}

/** For the docs of a setting. */
export function fieldRowsTable<T>(rows: readonly FieldRow<T>[]): string {
  const lines = rows.map(
    ({ key, kind, help, default: value }) =>
      `| \`${key}\` | ${kind.expected} | \`${kind.show(value)}\` | ${help}. |`,
  );
  return ['| field | value | default | what it does |', '| --- | --- | --- | --- |', ...lines].join(
    '\n',
  );
}
