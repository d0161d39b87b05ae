// Package events holds sample deliveries: <source>/<case>.json (.xml, .form) is a body byte for byte as the sender posts
// it, <source>/<case>.yaml beside it the headers, without the signature, and what must come of the event. They are
// the tests of sources/, what `licensectl local` and `licensectl send` send, and documentation, in one place.
// All names, keys and devices in them are invented. Each sample has license keys and devices of its own, so that
// they can be sent at once and in any order.
//
// Beside the sources stand events for `sam local invoke` and `sam remote invoke`:
//
//	webhook.json       API Gateway, payload 2.0: generic/license-deactivate, signed with the secret of `licensectl local`;
//	                   it says no time, so it does not become stale
//	worker-batch.json  SQS: two requests that the webhook function put into the queue
//	bulk.json          a direct invocation with three requests, the last of them without a hardware_id
//
// refunds.csv is a file for `licensectl deactivate`: fifty rows, whose licenses the fake API of `licensectl local` has.
//
// The package only embeds the files.
package events

import (
	"embed"
	"io/fs"
)

//go:embed *.csv *.json */*.json */*.xml */*.form */*.yaml
var files embed.FS

// FS returns the files of this directory. It is never nil and cannot be written to.
func FS() fs.FS { return files }
