// Runs LicenseSpring's Node SDK against a License API on loopback.
//
// Usage: cases.js HOST:PORT FOLDER. Prints one JSON object, the name of each case to what the SDK said: what it returned, or
// the code of the error. Request files go to FOLDER, written by the SDK's own functions.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { createRequire } = require('node:module');

const fromFolder = createRequire(path.resolve('.node', 'package.json'));
const warn = console.warn;
console.warn = () => {}; // the SDK misses a file of settings, which it can do without
const { LicenseAPI, LicenseManager } = fromFolder('@licensespring/node-sdk');
console.warn = warn;

const [domain, folder] = process.argv.slice(2);
const apiPath = `http://${domain}/api/v4`;
const tokenUrl = `http://${domain}/realms/user-portal/protocol/openid-connect/token`;

const keys = new LicenseAPI({ apiPath, apiKey: 'sdk-api-key', sharedKey: 'sdk-shared-key' });
const oauth = new LicenseAPI({ apiPath, tokenUrl, clientID: 'auth_company_1', clientSecret: 'sdk-client-secret' });
const wrong = new LicenseAPI({ apiPath, apiKey: 'sdk-api-key', sharedKey: 'another' });
const stranger = new LicenseAPI({ apiPath, tokenUrl, clientID: 'auth_company_1', clientSecret: 'another' });

const key = { product: 'P1', license_key: 'SDK-KEY-0001' };
const user = { product: 'US', username: 'sdk@example.com' };
const bundle = { product: 'BU', license_key: 'SDK-KEY-0001' };
const variables = { seat: '7' };

const said = {};
const one = async (name, call) => {
	try {
		said[name] = await call();
	} catch (e) {
		said[name] = e.code === 'ERR_BAD_REQUEST' ? e.response.data.error : e.code ?? String(e);
	}
};

// Changes one device in a request file and leaves its signatures.
const changed = text => Buffer.from(Buffer.from(text, 'base64').toString().replace('js-changed', 'js-another')).toString('base64');

// Writes a request file as an application does with the SDK's storage.
const requestFile = (name, api, config, payload) => {
	const manager = new LicenseManager({ apiPath, tokenUrl, productCode: payload.product, appName: 'test', appVersion: '1',
		hardwareID: payload.hardware_id, filePath: folder, ...config });
	const data = api.decodeOfflineDeactivationPayload(api.createOfflineDeactivationPayload(payload));
	const to = path.join(folder, name);
	manager.licenseFile.createRequestFile({ isActivation: false, data }, to);
	return fs.readFileSync(path.join(to, 'deactivate_offline.req'), 'utf8');
};

(async () => {
	await one('deactivate', () => keys.deactivateLicense({ ...key, hardware_id: 'js-online' }));
	await one('deactivate again', () => keys.deactivateLicense({ ...key, hardware_id: 'js-online' }));
	await one('deactivate a user', () => keys.deactivateLicense({ ...user, hardware_id: 'js-online' }));
	await one('unknown license', () => keys.deactivateLicense({ product: 'P1', license_key: 'nobody', hardware_id: 'h' }));
	await one('wrong shared key', () => wrong.deactivateLicense({ ...key, hardware_id: 'js-left' }));
	await one('bundle', () => keys.deactivateBundle({ ...bundle, hardware_id: 'js-bundle' }));
	await one('bundle again', () => keys.deactivateBundle({ ...bundle, hardware_id: 'js-bundle' }));
	await one('release', () => keys.floatingRelease({ ...key, hardware_id: 'js-floating' }));
	await one('release again', () => keys.floatingRelease({ ...key, hardware_id: 'js-floating' }));

	await one('oauth', () => oauth.deactivateLicense({ ...key, hardware_id: 'js-oauth' }));
	await one('oauth bundle', () => oauth.deactivateBundle({ ...bundle, hardware_id: 'js-oauth' }));
	await one('oauth release', () => oauth.floatingRelease({ ...key, hardware_id: 'js-oauth-floating' }));
	await one('oauth wrong secret', () => stranger.deactivateLicense({ ...key, hardware_id: 'js-left' }));

	const payload = keys.createOfflineDeactivationPayload({ ...key, hardware_id: 'js-offline', variables });
	await one('offline', () => keys.deactivateOffline(payload));
	await one('offline again', () => keys.deactivateOffline(payload));
	await one('offline changed', () => keys.deactivateOffline(changed(keys.createOfflineDeactivationPayload({ ...key, hardware_id: 'js-changed', variables }))));
	await one('offline corrupt', () => keys.deactivateOffline('this is no Base64'));
	await one('oauth offline', () => oauth.deactivateOffline(oauth.createOfflineDeactivationPayload({ ...user, hardware_id: 'js-offline', variables })));

	const withKeys = { apiKey: 'sdk-api-key', sharedKey: 'sdk-shared-key' };
	const text = requestFile('newline', keys, withKeys, { ...key, hardware_id: 'js-newline', variables });
	await one('offline with a newline', () => keys.deactivateOffline(text + '\n'));

	requestFile('key', keys, withKeys, { ...key, hardware_id: 'js-file', variables });
	requestFile('oauth', oauth, { clientID: 'auth_company_1', clientSecret: 'sdk-client-secret' }, { ...user, hardware_id: 'js-file', variables });
	requestFile('bundle', keys, withKeys, { ...bundle, hardware_id: 'js-file', variables });

	console.log(JSON.stringify(said));
	process.exit(0); // the SDK's timer for its token would keep the program alive
})();
