// Package simulation runs the whole system for two virtual days, by seed, injects faults of every kind, and checks that
// every accepted request ended as expected. It holds only tests; it uses the words of etcd's tests/robustness.
//
// One seed is one scenario (scenario_test.go). The system under test is the production code: internal/webhook,
// internal/worker with internal/lookup, internal/secrets, pkg/licenseapi and pkg/managementapi, wired as the two mains do
// (simulation_test.go). Everything around it is emulated in one bubble of testing/synctest: SQS by queue.Memory, the event
// source mapping by lambdaemu, Lambda's execution environments by lambdapool_test.go and environment_test.go, Secrets Manager by
// secretsmanager_test.go, the network by network_test.go, and both APIs of LicenseSpring by licenseapitest, over one state.
//
// # Traffic: what is generated
//
// traffic_test.go makes licenses and the requests to deactivate them: one device, several devices of one license, the
// same device twice, unknown devices, disabled and unknown licenses, unknown products, user names, bundles. Nine of ten
// deliveries are events of generic, Stripe and Lemon Squeezy; the others are direct invocations of up to 1,500 rows or
// a quarter of all requests. Half of them are sent while a failpoint is active. Some events are ignored, forged or
// unmappable, and three messages in the queue are foreign. senders_test.go sends: a sender retries until it gets its
// answer, Lemon Squeezy only three times. A buyer can write the place in which Lemon Squeezy names the license, so the worker
// confirms those by the e-mail address.
//
// lookup_orders_test.go adds look-ups, 15 for a hundred of these requests: refunds, lost disputes and ends of subscriptions
// whose licenses the worker has to find. An order has up to three licenses, key-based or user-based, with up to three devices
// each; it is found by the sender's id, by its subscription, or by a short number that the e-mail address confirms. Some
// name a device. Others must change nothing, and say why: the number or the buyer names another customer's order, a part of
// an order that is not certain, a license that was enabled again or made later, eleven licenses, no license. Some are
// refunded up to 55 minutes before their licenses are made. For half of the orders there is one whose id begins with
// theirs; renewals are refunded whose licenses must stay. Every eighth look-up is sent twice at the same time.
//
// # Failpoints: what breaks
//
//   - License API (failpoints_api_test.go): resets, 5xx, 408, 429 with every form of Retry-After, slow and truncated
//     answers, proxies' pages with 400, 404 and 200, refused connections, an hour of each during a day without the API; a
//     suspended account, 401, 403 and wrong configuration, each to every call of its span; its own rate limits; a clock that is up to 40 minutes off; lost and repeated calls.
//   - Management API (failpoints_management_test.go): its own 429, 5xx, time-outs, resets, cut answers, proxies' pages with
//     200, 400, 403 and 404, refused connections, a refused key, hours and a day without it, each while the License API may be
//     up or down. Wrong answers: filters ignored, matched in part or refused; a license or a device of somebody else; every
//     record twice; keys that are null; pages that shift; writes without an effect.
//   - SQS (failpoints_queue_test.go): calls that hang, fail whole or in part, or fail although they were done; messages
//     delivered twice, late, out of order, and after they were deleted.
//   - Lambda (lambdapool_test.go, environment_test.go): environments killed or frozen before and after each of their
//     effects, before and after each kind of call of the Management API, cold starts, idle environments removed, time-outs;
//     webhook invocations whose answer is lost.
//   - Secrets Manager (secretsmanager_test.go): outages, malformed values; keys rotated at the API first or in the
//     secret first, up to three hours apart; the Management API's key likewise, up to an hour.
//
// After 48 hours no failpoint is active any more.
//
// # Guards: what holds messages back
//
// guards_test.go has the worker's brake, with a limit by seed from none to one license an hour for each instance. In every fourth
// seed the worker watches for some hours or days and acts after a deployment. At the end the operator redrives what was watched
// and releases what is held, as docs/operations.md says; so the model does not know the guards.
//
// # Model: what must hold
//
// Each request has one expectation (model_test.go), with every fault: the device is inactive; or there was nothing to
// do; or the request is in the dead-letter queue with the License API's code or the look-up's. Of a look-up's licenses all
// devices are inactive, and they are disabled if the request says so. An event that cannot be mapped is in the
// dead-letter queue. A record that did not match makes a dead letter; the operator redrives it when the API answers rightly
// again, so it does not change what is expected.
//
// # Validate: how it is checked
//
// history_test.go records what the system answered, logged and called. During the run, apimonitor_test.go is in front
// of the API and checks the calls: no window of 1, 10 or 60 seconds holds more than the rate allows plus a derived
// margin, and no invocation makes two calls for one license at the same time. No invocation may fail, or time out
// without being frozen; no message may be deferred for a wrong key two minutes after the right key is in the secret. No
// environment may act on more licenses of a source and hour than its part of the brake's limit, no message may be held
// unless the worker has seen more of them than that part, and no call may be made in watch mode.
//
// managementmonitor_test.go does the same for the Management API: never more calls in a minute than the stack may make, than
// 50 in a second, or than 200 of both APIs together in 10 s from one address; no write in watch mode, none to a license
// before the brake admits all of its order, and no license disabled before its devices are inactive. A look-up may wait for
// the Management API only after the device that the event names is inactive, and not for a wrong key two minutes after the
// right one is in the secret.
//
// At the end validate_test.go compares history, dead letters and the API's state with the model: no accepted request is
// lost, none is dead-lettered without cause (but a license that was refused in two spans of a suspended account may
// be, and a look-up without a license as exhausted, where kills forget that it was looked up before), no device without a
// request is inactive and no license disabled, no write of either API, not even one without an effect, went to a license
// that no request is about, the queue is empty within a day, and the APIs' rate limits refused only repeats of the
// transport.
//
// # Report
//
// report_test.go counts, with one line for each seed, and prints at most ten violations of a seed with the command that
// runs only this seed. Faults depend on seed, license and attempt; the interleaving of goroutines does not, so run a
// failing seed a few times.
//
// `go test ./simulation` runs six seeds of 200 requests in seconds; `make sim` runs 200 seeds of 5,000, a million
// requests.
//
// # Pace
//
// pace_test.go drains a backlog of 1,000 refunds to look up, without faults and with the real limits of both APIs: at least
// 95 % of the Management API's quota, and no 429. make bench prints its result.
package simulation
