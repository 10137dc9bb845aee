// OCSP (RFC 6960, as lean as RFC 5019): the question about a certificate, and whether an answer can be stapled. Pure.

import { createHash, verify, X509Certificate } from 'node:crypto';
import { bits, type Der, der, expect, inside, readOne, tagOf, time, write } from './der-slices.ts';
import { readPemBlocks } from './pem.ts';

const oid = (hex: string): Buffer => Buffer.from(hex, 'hex');
/** 1.3.14.3.2.26. Not for secrecy: it is the one that all responders look up by (RFC 5019 section 2.1.1). */
const sha1 = write(der.sequence, write(der.oid, oid('2b0e03021a')), write(der.null));
const sha1Oid = oid('2b0e03021a');
/** 1.3.6.1.5.5.7.48.1.1 */
const basicResponse = oid('2b0601050507300101');
/** 1.3.6.1.5.5.7.1.24 (RFC 7633), and the number of status_request in it. */
const tlsFeature = oid('2b06010505070118');
const statusRequest = 5;
const ocspSigning = '1.3.6.1.5.5.7.3.9';

/** SHA-1 is not among them: clients refuse it. Nor is PSS, which no public responder uses. */
const algorithms: ReadonlyMap<string, readonly [keyType: string, hash: string | null]> = new Map([
  ['2a864886f70d01010b', ['rsa', 'sha256']],
  ['2a864886f70d01010c', ['rsa', 'sha384']],
  ['2a864886f70d01010d', ['rsa', 'sha512']],
  ['2a8648ce3d040302', ['ec', 'sha256']],
  ['2a8648ce3d040303', ['ec', 'sha384']],
  ['2a8648ce3d040304', ['ec', 'sha512']],
  ['2b6570', ['ed25519', null]],
]);

/** Clocks differ; as much as OpenSSL's clients let pass. */
const skewMs = 300_000;
/** One delegate and perhaps its chain; more is somebody's joke. */
const certificatesMax = 8;

/** What a chain says about stapling. */
export interface Stapling {
  readonly mustStaple: boolean;
  /** null: `problem` says why nobody is asked, and is null where the certificate names nobody. */
  readonly question: OcspQuestion | null;
  readonly problem: string | null;
}

export interface OcspQuestion {
  readonly url: string;
  /** DER. */
  readonly request: Buffer;
  readonly leaf: X509Certificate;
  readonly issuer: X509Certificate;
}

/** Of a PEM chain, the leaf first. Throws where it holds no certificate. */
export function staplingOf(chainPem: string): Stapling {
  const chain = readPemBlocks(Buffer.from(chainPem)).map(({ text }) => new X509Certificate(text));
  const leaf = chain[0];
  if (leaf === undefined) throw new Error('there is no certificate');
  const mustStaple = isMustStaple(leaf);
  const none = (problem: string | null): Stapling => ({ mustStaple, question: null, problem });
  const urls = ocspUrls(leaf);
  if (urls.length === 0) return none(null);
  const url = urls.find(isPlainHttp);
  if (url === undefined) return none('its OCSP address is not http://');
  const issuer = chain.slice(1).find((other) => isIssuedBy(leaf, other));
  if (issuer === undefined) return none('the certificate of its issuer is not in the chain');
  const request = ocspRequest(leaf, issuer);
  return { mustStaple, question: { url, request, leaf, issuer }, problem: null };
}

/** In Node's text of the extension, odd values stand in quotes; no responder has such an address. */
function ocspUrls({ infoAccess }: X509Certificate): string[] {
  return [...(infoAccess ?? '').matchAll(/^OCSP - URI:(\S+)$/gm)].map((match) => match[1]!);
}

function isPlainHttp(text: string): boolean {
  if (text.length > 2048 || !URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return protocol === 'http:' && username === '' && password === '';
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function isMustStaple(certificate: X509Certificate): boolean {
  // Few have it, and taking apart is for those.
  if (!certificate.raw.includes(tlsFeature)) return false;
  const extensions = tbsOf(certificate).find(({ tag }) => tag === tagOf(3));
  if (extensions === undefined) return false;
  for (const extension of inside(inside(extensions, tagOf(3))[0])) {
    const [id, ...rest] = inside(extension);
    if (!expect(id, der.oid).content.equals(tlsFeature)) continue;
    const features = inside(readOne(expect(rest.at(-1), der.octetString).content, der.sequence));
    return features.some(({ content }) => content.equals(Buffer.from([statusRequest])));
  }
  return false;
}

// ── the question ──

function ocspRequest(leaf: X509Certificate, issuer: X509Certificate): Buffer {
  const certId = write(
    der.sequence,
    sha1,
    write(der.octetString, digest(namesOf(leaf).issuer)),
    write(der.octetString, digest(namesOf(issuer).key)),
    namesOf(leaf).serial,
  );
  // OCSPRequest { TBSRequest { requestList { Request { reqCert } } } }. Without nonce: responders have
  // their answers ready-made.
  return [1, 2, 3, 4].reduce((inner) => write(der.sequence, inner), certId);
}

interface Names {
  readonly serial: Buffer;
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly key: Buffer;
}

function tbsOf({ raw }: X509Certificate): Der[] {
  return inside(inside(readOne(raw, der.sequence))[0]);
}

function namesOf(certificate: X509Certificate): Names {
  const fields = tbsOf(certificate);
  // The version stands before, if it is not 1.
  const [serial, , issuer, , subject, key] = fields[0]?.tag === tagOf(0) ? fields.slice(1) : fields;
  return {
    serial: expect(serial, der.integer).whole,
    issuer: expect(issuer, der.sequence).whole,
    subject: expect(subject, der.sequence).whole,
    key: bits(inside(key)[1]),
  };
}

function digest(bytes: Buffer): Buffer {
  return createHash('sha1').update(bytes).digest();
}

// ── the answer ──

export type OcspAnswer =
  | { readonly kind: 'good'; readonly thisUpdateMs: number; readonly nextUpdateMs: number }
  | { readonly kind: 'revoked' | 'unknown' | 'unusable'; readonly reason: string };

const statuses = [
  '',
  'malformedRequest',
  'internalError',
  'tryLater',
  'status 4',
  'sigRequired',
  'unauthorized',
];

/** Whether `bytes` can be stapled. Never throws. */
export function readOcspAnswer(bytes: Buffer, question: OcspQuestion, nowMs: number): OcspAnswer {
  try {
    const [status, body] = inside(readOne(bytes, der.sequence));
    const { content } = expect(status, der.enumerated);
    const code = content.length === 1 ? content[0]! : 255;
    if (code !== 0) return unusable(`the responder says ${statuses[code] ?? `status ${code}`}`);
    const [type, basic] = inside(inside(body, tagOf(0))[0]);
    if (!expect(type, der.oid).content.equals(basicResponse))
      return unusable('it is of another type than the basic one');
    return readBasic(expect(basic, der.octetString).content, question, nowMs);
  } catch (error) {
    return unusable(`it is no OCSP response: ${(error as Error).message}`);
  }
}

function readBasic(bytes: Buffer, question: OcspQuestion, nowMs: number): OcspAnswer {
  const [data, algorithm, signature, extra] = inside(readOne(bytes, der.sequence));
  const fields = inside(data);
  // The version stands before, if it is not 1.
  const [responder, , responses] = fields[0]?.tag === tagOf(0) ? fields.slice(1) : fields;
  const known = algorithms.get(expect(inside(algorithm)[0], der.oid).content.toString('hex'));
  if (known === undefined) return unusable('it is signed in a way that is not known here');
  const signer = signerOf(responder, certificatesIn(extra), question.issuer, nowMs);
  if (signer === null) return unusable('neither the issuer nor a delegate of it has signed it');
  const [keyType, hash] = known;
  const { publicKey } = signer;
  if (publicKey.asymmetricKeyType !== keyType)
    return unusable('its signature does not fit the key');
  if (!verify(hash, data!.whole, publicKey, bits(signature)))
    return unusable('its signature is not right');
  for (const response of inside(responses)) {
    const [certId, ...rest] = inside(response);
    if (isAbout(certId, question)) return readSingle(rest, nowMs);
  }
  return unusable('it is about another certificate');
}

/** Of what is signed. */
function readSingle([status, from, ...more]: readonly Der[], nowMs: number): OcspAnswer {
  const thisUpdateMs = time(from);
  const until = more.find(({ tag }) => tag === tagOf(0));
  if (thisUpdateMs > nowMs + skewMs) return unusable('it is of the future');
  // RFC 5019 section 2.2.4 demands it; without it nobody knows how long to serve the response.
  if (until === undefined) return unusable('it does not say until when it is valid');
  const nextUpdateMs = time(inside(until, tagOf(0))[0]);
  if (nextUpdateMs <= nowMs || nextUpdateMs <= thisUpdateMs) return unusable('it is outdated');
  switch (status?.tag) {
    case tagOf(0, false):
      return { kind: 'good', thisUpdateMs, nextUpdateMs };
    case tagOf(1):
      return { kind: 'revoked', reason: 'the certificate is REVOKED' };
    case tagOf(2, false):
      return { kind: 'unknown', reason: 'the responder does not know the certificate' };
    default:
      return unusable('it has no status that is known here');
  }
}

function isAbout(certId: Der | undefined, { leaf, issuer }: OcspQuestion): boolean {
  const [algorithm, name, key, serial] = inside(certId);
  return (
    expect(inside(algorithm)[0], der.oid).content.equals(sha1Oid) &&
    expect(name, der.octetString).content.equals(digest(namesOf(leaf).issuer)) &&
    expect(key, der.octetString).content.equals(digest(namesOf(issuer).key)) &&
    expect(serial, der.integer).whole.equals(namesOf(leaf).serial)
  );
}

function certificatesIn(extra: Der | undefined): X509Certificate[] {
  if (extra === undefined) return [];
  const list = inside(inside(extra, tagOf(0))[0]);
  return list.slice(0, certificatesMax).map(({ whole }) => new X509Certificate(whole));
}

/** RFC 6960 section 4.2.2.2: the issuer itself, or one with OCSPSigning that it has issued. */
function signerOf(
  responder: Der | undefined,
  given: readonly X509Certificate[],
  issuer: X509Certificate,
  nowMs: number,
): X509Certificate | null {
  if (isNamed(responder, issuer)) return issuer;
  const delegate = given.find(
    (certificate) =>
      isNamed(responder, certificate) &&
      // Node calls the extended usages so.
      certificate.keyUsage?.includes(ocspSigning) &&
      Date.parse(certificate.validFrom) <= nowMs + skewMs &&
      Date.parse(certificate.validTo) > nowMs &&
      isIssuedBy(certificate, issuer),
  );
  return delegate ?? null;
}

/** By subject, or by the hash of the key. */
function isNamed(responder: Der | undefined, certificate: X509Certificate): boolean {
  const { subject, key } = namesOf(certificate);
  if (responder?.tag === tagOf(1)) return responder.content.equals(subject);
  return expect(inside(responder, tagOf(2))[0], der.octetString).content.equals(digest(key));
}

function unusable(reason: string): OcspAnswer {
  return { kind: 'unusable', reason };
}
