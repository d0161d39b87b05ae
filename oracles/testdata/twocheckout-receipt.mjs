// A receiver's receipt of 2Checkout's notifications, written a second time, in another language and with another
// library's parser and HMAC: Node's querystring and crypto. It reads one JSON object a line, {body, key, date}, the body
// in Base64, and writes a receipt a line.
//
// https://verifone.cloud/docs/2checkout/API-Integration/Webhooks/06Instant_Payment_Notification_IPN/IPN-read-receipt-response-2Checkout
import { createHmac } from 'node:crypto';
import { unescapeBuffer } from 'node:querystring';
import { createInterface } from 'node:readline';

// latin1 has one character for each byte, so that lengths are lengths in bytes.
const decode = (text) => unescapeBuffer(text.replaceAll('+', ' ')).toString('latin1');

const first = (fields, name) => (fields.find(([n]) => n === name) ?? [name, ''])[1];

for await (const line of createInterface({ input: process.stdin })) {
  const { body, key, date } = JSON.parse(line);
  const fields = Buffer.from(body, 'base64').toString('latin1').split('&').filter((part) => part !== '').map((part) => {
    const [name, ...value] = part.split('=');
    return [decode(name), decode(value.join('='))];
  });
  const text = [first(fields, 'IPN_PID[]'), first(fields, 'IPN_PNAME[]'), first(fields, 'IPN_DATE'), date]
    .map((value) => `${value.length}${value}`).join('');
  const signature = createHmac('sha256', Buffer.from(key, 'utf8')).update(Buffer.from(text, 'latin1')).digest('hex');
  console.log(`<sig algo="sha256" date="${date}">${signature}</sig>`);
}
