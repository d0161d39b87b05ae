// Package deactivation holds the words of the house: a Request to deactivate one license on one device, the
// wire form in which it waits in the queue, the Outcome of a message and the Reason of a dead letter.
//
// It imports the standard library alone and is imported by every other room. A Request carries a license key,
// and it may carry a password or a token, so Request and License print themselves shortened in every way that
// fmt, log/slog and encoding/json know (redact.go); Wire alone shows them, and only the queue is given its result.
package deactivation

import (
	"encoding/json"
	"time"
)

// Actions of wire form v1: the call of the License API that a request asks for.
const (
	ActionDeactivateLicense = "deactivate_license" // one license on one device
	ActionDeactivateBundle  = "deactivate_bundle"  // every license of a bundle on one device; product is the bundle's code
)

// Actions lists every action that a request may ask for.
func Actions() []string {
	return []string{ActionDeactivateLicense, ActionDeactivateBundle, ActionDeactivateOffline, ActionDeactivateBundleOffline}
}

// Causes: why a license is to be deactivated.
const (
	CauseRefund            = "refund"
	CauseDispute           = "dispute"
	CauseOrderCancelled    = "order_cancelled"
	CauseSubscriptionEnded = "subscription_ended"
	CauseManual            = "manual" // also where the sender does not say
)

// Causes lists every cause that a rule or a direct invocation may give.
func Causes() []string {
	return []string{CauseRefund, CauseDispute, CauseOrderCancelled, CauseSubscriptionEnded, CauseManual}
}

// Origins of a request.
const (
	OriginEvent  = "event"  // an event that a sender delivered
	OriginDirect = "direct" // a direct invocation: somebody asked for it
)

// Origins lists every origin of a request.
func Origins() []string { return []string{OriginEvent, OriginDirect} }

// Outcome says what became of a message in one receive.
type Outcome string

// The outcomes of a message. Deferred is the only one after which it is still in the queue.
const (
	Deactivated     Outcome = "deactivated"
	AlreadyInactive Outcome = "already_inactive"
	Rejected        Outcome = "rejected"
	Deferred        Outcome = "deferred"
)

// Answer says what the front door made of a delivery.
type Answer string

// The answers to an event.
const (
	Accepted   Answer = "accepted"
	Ignored    Answer = "ignored"
	Unmappable Answer = "unmappable"
	Refused    Answer = "refused"
)

// Reason says why a message is in the dead-letter queue. A message that SQS itself moved there carries none, and is
// read as ReasonExhausted.
type Reason string

// The reasons of a dead letter.
const (
	ReasonRejected    Reason = "rejected"    // the License API's answer
	ReasonUnmappable  Reason = "unmappable"  // an event without license data
	ReasonInvalid     Reason = "invalid"     // not a message of ours
	ReasonCrashed     Reason = "crashed"     // a panic, five times
	ReasonUndelivered Reason = "undelivered" // the queue did not take it
	ReasonExhausted   Reason = "exhausted"   // still deferred at receive 290; without attributes, SQS moved it at receive 301
)

// Request asks for one license to be deactivated on one device. Its ID is source, event id and place within the
// event: the same at every redelivery, on every log line and through every redrive.
type Request struct {
	ID         string
	Action     string // "" means ActionDeactivateLicense
	Source     string
	Origin     string // one of Origins; "" means OriginEvent
	Run        string // name of the bulk run that it belongs to; "" for none
	Cause      string // one of Causes
	Rule       string // name of the rule that asked; "" for a direct invocation
	Event      string // the sender's event id; "" for a direct invocation
	Order      []string
	OccurredAt time.Time // zero where the sender does not say
	ReceivedAt time.Time
	Lookup     Lookup    // what the licenses can be found by where no device is named
	Scope      string    // one of Scopes; "" means ScopeOrder
	Products   []Product // of ScopeItems: what was refunded
	Disable    bool      // whether the licenses are disabled too, once their devices are free

	// RequestFile is the text of a .req file, with an offline action alone. It holds a license key, a device and
	// signatures: never log it.
	RequestFile string

	License
}

// License names the license and the device in the License API's own words. It has the fields of
// licenseapi.Deactivation in the same order, so that one converts to the other; a difference does not compile.
type License struct {
	Product             string          `json:"product,omitempty"`
	LicenseKey          string          `json:"license_key,omitempty"`
	Username            string          `json:"username,omitempty"`
	Password            string          `json:"password,omitempty"`
	IDToken             string          `json:"id_token,omitempty"`
	Code                string          `json:"code,omitempty"`
	CustomerAccountCode string          `json:"customer_account_code,omitempty"`
	LicenseID           json.Number     `json:"license_id,omitempty"`
	BundleCode          string          `json:"bundle_code,omitempty"`
	HardwareID          string          `json:"hardware_id,omitempty"`
	SDKVer              string          `json:"sdk_ver,omitempty"`
	Consumptions        json.Number     `json:"consumptions,omitempty"`
	Variables           json.RawMessage `json:"variables,omitempty"`
	IsVM                *bool           `json:"is_vm,omitempty"`
	VMInfo              string          `json:"vm_info,omitempty"`
	OSVer               string          `json:"os_ver,omitempty"`
	Hostname            string          `json:"hostname,omitempty"`
	OSHostname          string          `json:"os_hostname,omitempty"`
	IP                  string          `json:"ip,omitempty"`
	IPLocal             string          `json:"ip_local,omitempty"`
	AppVer              string          `json:"app_ver,omitempty"`
	MACAddress          string          `json:"mac_address,omitempty"`
}

// Identity says whose license it is, as a key for "never two calls for one license at the same time". It holds
// the license key or user name itself: never log it. "" where no identity is set.
func (l License) Identity() string {
	switch {
	case l.LicenseKey != "":
		return "license_key:" + l.LicenseKey
	case l.Username != "":
		return "username:" + l.Username
	case l.IDToken != "":
		return "id_token:" + l.CustomerAccountCode + ":" + l.IDToken
	case l.Code != "":
		return "code:" + l.CustomerAccountCode + ":" + l.Code
	}
	return ""
}
