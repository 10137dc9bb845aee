// The setting of apps beside that of the top level.

import { type AppConfig, appFields } from '../config.ts';
import { type Kind, readEntries, readParts, Unfit } from '../kinds.ts';
import { type Setting, setting } from '../setting.ts';

/** What is said of an app: values of settings by key, as they stand there. */
export type AppSettings = Readonly<Record<string, unknown>>;

const appsMax = 64;

/** What an app may say for itself, by the keys of a config file: "app" says what to load and its export, and
 *  "module" is another word for it. */
const appSettingKeys = [
  'app',
  ...appFields
    .filter((field) => field !== 'module' && field !== 'export')
    .map((field) => field.replace(/Ms$/, '')),
];

const known: ReadonlySet<string> = new Set([...appSettingKeys, 'module']);

const namedApps: Kind<readonly (readonly [string, AppSettings])[]> = {
  expected: `up to ${appsMax} apps by name such as { api: { module: 'main:app', workerClass: 'asgi' } }, or NAME=MODULE; names of letters, digits, "-" and "_", not "app"`,
  placeholder: 'NAME=MODULE',
  inputType: `Readonly<Record<string, { readonly module?: string } & Pick<PorticoConfig, ${appSettingKeys.map((key) => `'${key}'`).join(' | ')}>>>`,
  flag: 'repeat',
  read(raw) {
    const parts = typeof raw === 'string' ? [raw] : raw;
    if (parts === null || typeof parts !== 'object') return new Unfit();
    const apps = Array.isArray(parts)
      ? readParts(parts, readText)
      : readEntries(parts as object, readApp);
    if (apps instanceof Unfit) return apps;
    const isTwice = new Set(apps.map(([name]) => name)).size < apps.length;
    return isTwice || apps.length > appsMax ? new Unfit() : apps;
  },
  show: (apps) => apps.map(showApp).join(', ') || 'none',
};

/** As given, or (in force) as part of the settings. */
function showApp(app: readonly [string, AppSettings] | AppConfig): string {
  return 'name' in app ? `${app.name}=${app.module}` : `${app[0]}=${app[1].app ?? ''}`;
}

function readText(part: unknown): [string, AppSettings] | Unfit {
  const [, name, module] = /^([^=]+)=(.+)$/.exec(typeof part === 'string' ? part : '') ?? [];
  return name === undefined ? new Unfit() : readApp(name, { module });
}

function readApp(name: string, given: unknown): [string, AppSettings] | Unfit {
  if (!/^[A-Za-z][\w-]{0,31}$/.test(name) || name === 'app') return new Unfit();
  const values = typeof given === 'string' ? { module: given } : given;
  if (typeof values !== 'object' || values === null || Array.isArray(values)) return new Unfit();
  const stray = Object.keys(values).find((key) => !known.has(key));
  if (stray !== undefined)
    return new Unfit(`${JSON.stringify(stray)} is no setting that an app has of its own`);
  const { module, ...rest } = values as Readonly<Record<string, unknown>>;
  if (module !== undefined && rest.app !== undefined) return new Unfit('it has app and module');
  return [name, module === undefined ? rest : { ...rest, app: module }];
}

export const appsSettings: readonly Setting[] = [
  setting('apps', {
    group: 'App',
    kind: namedApps,
    default: [],
    help: 'More apps, each by a name, with workers of its own; repeatable',
    doc: `Each may have settings of its own: ${appSettingKeys.map((key) => `\`${key}\``).join(', ')} (\`module\` is the same as \`app\`); what it leaves out is that of the top level. [Routes](routes.md) lead to it by \`app:NAME\`. Requests that no route takes go to the app of the top level, or without one to the first of these. See [several apps](apps.md#several-apps).`,
    // Made when all other settings are known: see resolve.ts.
    finish: (): readonly AppConfig[] => [],
  }),
];
