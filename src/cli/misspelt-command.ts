// "portico staus" is a start with an app of that name: says so before that fails.

import { quote } from '../config/assignment.ts';
import type { Config } from '../config/config.ts';
import { commandMeant } from './invocation.ts';

/** The problem, where the app is none and looks like a command. */
export async function misspeltCommand(app: string | null, config: Config): Promise<string | null> {
  const meant = app === null ? null : commandMeant(app);
  if (app === null || meant === null) return null;
  // Loaded when it is needed: this process becomes the arbiter.
  const { locateModule } = await import('../config/module-file.ts');
  if (!('problem' in locateModule(app, config.chdir))) return null;
  return `There is neither an app nor a command ${quote(app)}: did you mean portico ${meant}?`;
}
