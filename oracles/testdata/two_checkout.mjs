// A second implementation of 2Checkout's IPN signature, by its published rule (2checkout-php-sdk, Tokens.php): take the values
// in the order in which they came, without the fields of signatures; put each value's length in bytes before it; HMAC of
// all that. The form is split by hand and decoded byte by byte, so that nothing of pkg/signing or of URLSearchParams
// (which reads UTF-8 alone) decides what a value is.
//
// Input: {"key", "forms": […]}, all base64. Output: [{"sha3-256", "sha256"}, …] in hexadecimal.
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';

const signatures = ['SIGNATURE_SHA3_256', 'SIGNATURE_SHA2_256', 'HASH'];
const [percent, plus, ampersand, equals] = [...'%+&='].map((c) => c.charCodeAt(0));

function split(bytes, at) {
  const parts = [];
  let from = 0;
  for (let i = 0; i <= bytes.length; i++) {
    if (i === bytes.length || bytes[i] === at) {
      parts.push(bytes.subarray(from, i));
      from = i + 1;
    }
  }
  return parts;
}

function decode(bytes) {
  const out = [];
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === percent) {
      out.push(parseInt(bytes.subarray(i + 1, i + 3).toString('latin1'), 16));
      i += 2;
    } else {
      out.push(bytes[i] === plus ? 0x20 : bytes[i]);
    }
  }
  return Buffer.from(out);
}

function canonical(form) {
  const text = [];
  for (const part of split(form, ampersand)) {
    if (part.length === 0) continue;
    const [name, ...rest] = split(part, equals);
    if (signatures.includes(decode(name).toString('latin1'))) continue;
    const value = decode(rest.length === 0 ? Buffer.alloc(0) : part.subarray(name.length + 1));
    text.push(Buffer.from(String(value.length)), value);
  }
  return Buffer.concat(text);
}

const input = JSON.parse(readFileSync(0, 'utf8'));
const key = Buffer.from(input.key, 'base64');
console.log(JSON.stringify(input.forms.map((form) => {
  const text = canonical(Buffer.from(form, 'base64'));
  const mac = (hash) => createHmac(hash, key).update(text).digest('hex');
  return { 'sha3-256': mac('sha3-256'), sha256: mac('sha256') };
})));
