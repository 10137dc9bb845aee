// OCSP responses of openssl's, right ones and wrong ones, as they are read before they are stapled.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type OcspQuestion, readOcspAnswer, staplingOf } from '../../src/certificates/ocsp.ts';
import { needs } from '../helpers/need.ts';
import { type LeafOptions, OcspCa, serials } from '../helpers/ocsp.ts';
import { randomFrom, seed } from '../helpers/random.ts';

const url = 'http://127.0.0.1:9/ocsp';
const dayMs = 86_400_000;
const need = needs('openssl');
let ca: OcspCa;
before(() => {
  if (need.skip === false) ca = new OcspCa();
});
after(() => ca?.remove());

function questionFor(options: LeafOptions = {}): OcspQuestion {
  const { question } = staplingOf(ca.leaf({ url, ...options }).certPem);
  assert.ok(question);
  return question;
}

function reasonOf(bytes: Buffer, question: OcspQuestion, nowMs = Date.now()): string {
  const answer = readOcspAnswer(bytes, question, nowMs);
  return answer.kind === 'good' ? 'good' : `${answer.kind}: ${answer.reason}`;
}

test('openssl reads the question as one about the certificate', need, () => {
  const { request } = questionFor({ serial: 0x99 });
  writeFileSync(ca.path('question.der'), request);
  const args = ['ocsp', '-reqin', ca.path('question.der'), '-req_text'];
  const text = execFileSync('openssl', args, { encoding: 'utf8' });
  assert.match(text, /Hash Algorithm: sha1/);
  assert.match(text, /Serial Number: 99/);
});

test('what the issuer or its delegate signed is good until nextUpdate', need, () => {
  for (const key of ['ec', 'rsa'] as const) {
    const question = questionFor({ key, serial: serials[key] });
    for (const signer of [['ca'], ['delegate'], ['delegate', '-ndays', '1', '-resp_key_id']]) {
      const [name, ...more] = signer;
      const bytes = ca.answer(question.request, name, ...more);
      const nowMs = Date.now();
      const answer = readOcspAnswer(bytes, question, nowMs);
      assert.equal(answer.kind, 'good', reasonOf(bytes, question));
      if (answer.kind !== 'good') continue;
      assert.equal(answer.nextUpdateMs - answer.thisUpdateMs, dayMs);
      assert.ok(Math.abs(answer.thisUpdateMs - nowMs) < 60_000);
      assert.match(reasonOf(bytes, question, nowMs + dayMs), /unusable: it is outdated/);
      // Of the delegate's certificate, too.
      if (name === 'ca')
        assert.match(reasonOf(bytes, question, nowMs - dayMs), /it is of the future/);
      else assert.match(reasonOf(bytes, question, nowMs - dayMs), /^unusable: /);
    }
  }
});

test('what somebody else signed is not taken', need, () => {
  const question = questionFor();
  const said = (signer: string, ...more: string[]) =>
    reasonOf(ca.answer(question.request, signer, ...more), question);
  const nobody = 'unusable: neither the issuer nor a delegate of it has signed it';
  assert.equal(said('webserver'), nobody);
  assert.equal(said('stranger'), nobody);
  assert.equal(said('delegate', '-ndays', '1', '-resp_no_certs'), nobody);
  // It calls itself as the CA does.
  assert.equal(said('impostor'), 'unusable: its signature is not right');
  assert.equal(
    said('ca', '-ndays', '1', '-rmd', 'sha1'),
    'unusable: it is signed in a way that is not known here',
  );
});

test('revoked, unknown, without an end, about another: told apart', need, () => {
  const revoked = questionFor({ serial: serials.revoked });
  const bytes = ca.answer(revoked.request);
  assert.equal(reasonOf(bytes, revoked), 'revoked: the certificate is REVOKED');
  const unknown = questionFor({ serial: serials.unknown });
  assert.match(reasonOf(ca.answer(unknown.request), unknown), /^unknown: /);
  const question = questionFor();
  assert.equal(reasonOf(bytes, question), 'unusable: it is about another certificate');
  assert.equal(
    reasonOf(ca.answer(question.request, 'ca', '-resp_key_id'), question),
    'unusable: it does not say until when it is valid',
  );
  const tryLater = Buffer.from('30030a0103', 'hex');
  assert.equal(reasonOf(tryLater, question), 'unusable: the responder says tryLater');
  const unauthorized = Buffer.from('30030a0106', 'hex');
  assert.equal(reasonOf(unauthorized, question), 'unusable: the responder says unauthorized');
  assert.match(reasonOf(Buffer.from('<html>'), question), /^unusable: it is no OCSP response: /);
  assert.match(reasonOf(Buffer.alloc(0), question), /^unusable: it is no OCSP response: /);
});

test('a chain says whether anybody can be asked', need, () => {
  const said = (options: LeafOptions) => {
    const { question, ...rest } = staplingOf(ca.leaf(options).certPem);
    return { ...rest, url: question?.url ?? null };
  };
  const nothing = { mustStaple: false, problem: null, url: null };
  assert.deepEqual(said({}), nothing);
  assert.deepEqual(said({ url }), { ...nothing, url });
  assert.deepEqual(said({ url, mustStaple: true }), { ...nothing, url, mustStaple: true });
  assert.deepEqual(said({ mustStaple: true }), { ...nothing, mustStaple: true });
  const problem = 'the certificate of its issuer is not in the chain';
  assert.deepEqual(said({ url, withIssuer: false }), { ...nothing, problem });
  for (const other of ['https://127.0.0.1/', 'ldap://a/', 'http://u:p@127.0.0.1/']) {
    const wrong = { ...nothing, problem: 'its OCSP address is not http://' };
    assert.deepEqual(said({ url: other }), wrong);
  }
});

test(
  `a response with any bytes changed is not taken, and is read without a fault (FUZZ_SEED=${seed})`,
  need,
  () => {
    const question = questionFor();
    const random = randomFrom(seed);
    for (const bytes of [ca.answer(question.request), ca.answer(question.request, 'delegate')]) {
      for (let length = 0; length < bytes.length; length++)
        assert.notEqual(reasonOf(bytes.subarray(0, length), question), 'good');
      for (let round = 0; round < 3000; round++) {
        const copy = Buffer.from(bytes);
        const at = random(copy.length);
        copy[at] = copy[at]! ^ (1 + random(255));
        if (random(2) === 0) copy[random(copy.length)] = random(256);
        const said = readOcspAnswer(copy, question, Date.now());
        // The certificate that comes along and the identifiers' NULL stand outside of what is signed.
        if (said.kind !== 'good') continue;
        assert.deepEqual(said, readOcspAnswer(bytes, question, Date.now()), `byte ${at}`);
      }
    }
  },
);
