// Signs and verifies with Node's crypto. Input and output are JSON on stdin and stdout; bytes are base64.
//
//	{"do": "make", "algorithm"}                              -> {"private", "public"}   PEM
//	{"do": "sign", "algorithm", "private", "messages"}       -> ["signature", …]
//	{"do": "verify", "algorithm", "public", "messages", "signatures"} -> [true, …]
//	{"do": "hmac", "hash", "key", "messages"}                -> ["mac", …]
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';

const input = JSON.parse(readFileSync(0, 'utf8'));
const bytes = (text) => Buffer.from(text, 'base64');
const digest = { ed25519: null, rsa: 'sha256' }[input.algorithm];

const does = {
  make() {
    const { privateKey, publicKey } = generateKeyPairSync(input.algorithm, { modulusLength: 2048 });
    return {
      private: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      public: publicKey.export({ type: 'spki', format: 'pem' }),
    };
  },
  sign() {
    const key = createPrivateKey(input.private);
    return input.messages.map((message) => sign(digest, bytes(message), key).toString('base64'));
  },
  verify() {
    const key = createPublicKey(input.public);
    return input.messages.map((message, i) => verify(digest, bytes(message), key, bytes(input.signatures[i])));
  },
  hmac() {
    return input.messages.map((message) => createHmac(input.hash, bytes(input.key)).update(bytes(message)).digest('base64'));
  },
};
console.log(JSON.stringify(does[input.do]()));
