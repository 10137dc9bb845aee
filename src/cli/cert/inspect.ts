// portico cert inspect: what is in a certificate file, or what a server sends.

import type { KeyObject, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { inspectCertificate } from '../../certificates/inspect.ts';
import { judgeChain, objections, type Seen } from '../../certificates/judge.ts';
import { printableJson } from '../printable.ts';
import { askServer, type ServerAnswer } from './ask-server.ts';
import { readCertificateFile } from './read-files.ts';
import { type Inspection, inspectionText } from './show.ts';
import { systemRoots } from './system-roots.ts';
import { readTarget, type Target } from './target.ts';

/** For the whole conversation with a server. */
const timeoutMs = 10_000;

/** Returns what went wrong, as sentences. What a browser would object to is not an error of the command. */
export async function certInspect(
  args: readonly string[],
  { json, passphrase }: { readonly json: boolean; readonly passphrase: string | null },
): Promise<readonly string[]> {
  const [what, second, ...extra] = args;
  if (what === undefined) return ['portico cert inspect needs a file, or HOST:PORT'];
  if (extra.length > 0) return [`Unexpected argument ${JSON.stringify(extra[0])}`];
  const target = readTarget(what);
  if (typeof target === 'string') return [target];
  try {
    const inspection =
      target.kind === 'file'
        ? await inspectFile(target.path, second ?? null, passphrase)
        : await inspectServer(target, second ?? target.host);
    process.stdout.write(json ? printableJson(asJson(inspection)) : inspectionText(inspection));
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}

async function inspectFile(
  path: string,
  keyPath: string | null,
  passphrase: string | null,
): Promise<Inspection> {
  const file = await readCertificateFile(path, passphrase);
  const { certificates } = file;
  if (certificates.length === 0) throw new Error(`${path} holds no certificate`);
  const { key, keyProblem } =
    keyPath === null ? file : await readCertificateFile(keyPath, passphrase);
  if (keyPath !== null && key === null && keyProblem === null)
    throw new Error(`${keyPath} holds no key`);
  const place = keyPath ?? 'the same file';
  const found = key ?? keyProblem;
  const keyAnswer =
    found === null
      ? null
      : {
          place,
          fits: key === null ? null : fits(certificates[0]!, key),
          problem: keyProblem,
        };
  return inspected(path, certificates, { server: null, host: null, key: keyAnswer });
}

function fits(certificate: X509Certificate, key: KeyObject): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch {
    // A key of a kind that OpenSSL does not know.
    return false;
  }
}

async function inspectServer(
  { host, port }: Extract<Target, { kind: 'server' }>,
  name: string,
): Promise<Inspection> {
  const title = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  const asked = await askServer({ host, port, name, timeoutMs });
  if (!asked.ok) throw new Error(`${title} ${asked.problem}`);
  const { answer } = asked;
  const leaf = answer.certificates[0]!;
  const isCovered = (isIP(name) === 0 ? leaf.checkHost(name) : leaf.checkIP(name)) !== undefined;
  const shown = name === host ? title : `${title}, asked for ${name}`;
  return inspected(shown, answer.certificates, {
    server: answer,
    host: { name, isCovered },
    key: null,
  });
}

async function inspected(
  title: string,
  certificates: readonly X509Certificate[],
  more: Pick<Inspection, 'server' | 'key'> & { readonly host: Seen['host'] },
): Promise<Inspection> {
  const roots = systemRoots(process.env, process.platform);
  const facts = judgeChain(certificates, roots.certificates);
  const reports = await Promise.all(facts.chain.map((one) => inspectCertificate(one)));
  const nowMs = Date.now();
  const isStapled = more.server === null ? null : more.server.ocsp !== null;
  const { server, key, host } = more;
  return {
    title,
    facts,
    reports,
    roots: roots.source,
    rootName: facts.root === null ? null : (await inspectCertificate(facts.root)).subjectName,
    nowMs,
    server,
    key,
    objections: objections({ facts, reports, nowMs, host, isStapled }),
  };
}

function asJson({ title, facts, reports, server, key, ...rest }: Inspection) {
  return {
    target: title,
    certificates: reports.map(({ notBeforeMs, notAfterMs, keyBits: _, ...report }) => ({
      ...report,
      notBefore: new Date(notBeforeMs).toISOString(),
      notAfter: new Date(notAfterMs).toISOString(),
    })),
    otherCertificates: facts.strangers,
    inOrder: facts.isOrdered,
    root: rest.rootName,
    trusted: facts.isTrusted,
    trustedBy: rest.roots,
    key,
    connection: server === null ? null : connection(server),
    objections: rest.objections,
  };
}

function connection({ certificates: _, ocsp, ...answer }: ServerAnswer) {
  return { ...answer, ocspStapled: ocsp !== null };
}
