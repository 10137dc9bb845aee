// Names as build tools write them, and names as people write them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFingerprinted } from '../../src/edge/static/fingerprint.ts';

test('names with a hash are told, of each build tool', () => {
  for (const name of [
    'app.3f2a9c1b.js',
    'app.3f2a9c1b.js.map',
    'main.8e0d62a2.chunk.js',
    'main.8e0d62a2.chunk.css.map',
    'main.f855e6bc.js.LICENSE.txt',
    'application-908e25f4bf641868d8683022a5b62f54.css',
    'base.27e20196a850.css',
    'framework-8e0e0d2b1c3f4a5b.js',
    'index-BxYz1234.css',
    'index-DxW2kVb_.js',
    'logo-D7kQ_z9-.svg',
    'index.DJvZqOJ2.js',
    'vendor-CkYyD3Vt.js',
    'chunk-K5QLYVTH.js',
    'chunk-2J3GHT7A.js',
    'DlAUqK2U.js',
    '3f2a9c1b.js',
    'inter-latin-400-normal-C38fXH4l.woff2',
  ])
    assert.equal(isFingerprinted(name), true, name);
});

test('words, numbers, dates and versions are no hash', () => {
  for (const name of [
    'app.js',
    'index.html',
    'jquery-3.7.1.min.js',
    'bootstrap.bundle.min.js',
    'report-20261122.pdf',
    'report-2026-11-22.pdf',
    '20261122.csv',
    'feedface.txt',
    'holiday-IMG_1234.jpg',
    'DSC_00421.jpg',
    'IMG_20261122.jpg',
    'iPhone15.png',
    'my-MacBook8.png',
    'user-my-Page1.html',
    'site-footerBar.css',
    'SettingsPage.js',
    'app-settings.js',
    'the-overview.html',
    'react-router-dom.js',
    'report-Q3FY2026.pdf',
    'archive-v1_2_3.zip',
    'chapter-Section12.html',
    'README-CHANGELOG.md',
    'CHANGELOG.md',
    'apple-touch-icon-120x120.png',
    'android-chrome-512x512.png',
    '3f2a9c1b',
    'app.3f2a9c.js',
    '.3f2a9c1b',
    '',
    'x'.repeat(5000),
  ])
    assert.equal(isFingerprinted(name), false, name);
});
