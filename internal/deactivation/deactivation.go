// Package deactivation holds the words that all packages share: a Request to deactivate one license on one device, its
// wire form in the queue, the Outcome of a message and the Reason of a dead letter.
//
// It imports only the standard library, and every other package may import it. A Request holds a license key, and it
// may hold a password or a token. Request and License therefore shorten their secrets in every way in which fmt,
// log/slog and encoding/json print them (redact.go). Only Wire shows the secrets, and only the queue receives its
// result.
package deactivation

import (
	"encoding/json"
	"time"
)

// Actions of wire form v1: the call of the License API that a request needs.
const (
	ActionDeactivateLicense = "deactivate_license" // one license on one device
	ActionDeactivateBundle  = "deactivate_bundle"  // every license of a bundle on one device; product is the bundle's code
)

// Actions lists every action that a request may ask for.
func Actions() []string {
	return []string{ActionDeactivateLicense, ActionDeactivateBundle, ActionDeactivateOffline, ActionDeactivateBundleOffline}
}

// Causes: the reason for which a license is deactivated.
const (
	CauseRefund            = "refund"
	CauseDispute           = "dispute"
	CauseOrderCancelled    = "order_cancelled"
	CauseSubscriptionEnded = "subscription_ended"
	CauseManual            = "manual" // also where the sender gives no cause
)

// Causes lists every cause that a rule or a direct invocation may give.
func Causes() []string {
	return []string{CauseRefund, CauseDispute, CauseOrderCancelled, CauseSubscriptionEnded, CauseManual}
}

// Origins of a request.
const (
	OriginEvent  = "event"  // an event that a sender delivered
	OriginDirect = "direct" // a direct invocation by a person or a script
)

// Origins lists every origin of a request.
func Origins() []string { return []string{OriginEvent, OriginDirect} }

// Outcome is the result of one receive of a message.
type Outcome string

// The outcomes of a message. Only a deferred message stays in the queue.
const (
	Deactivated     Outcome = "deactivated"
	AlreadyInactive Outcome = "already_inactive"
	Rejected        Outcome = "rejected"
	Deferred        Outcome = "deferred"
)

// Answer is the result of a delivery.
type Answer string

// The answers to an event.
const (
	Accepted   Answer = "accepted"
	Ignored    Answer = "ignored"
	Unmappable Answer = "unmappable" // kept for a person: license data is missing, or a person decides (CodeReview)
	Stale      Answer = "stale"      // kept for a person: the event is too old to act on unasked
	Reversed   Answer = "reversed"   // kept for a person: it takes an earlier event back
	Refused    Answer = "refused"
)

// Reason is why a message is in the dead-letter queue. A message that SQS itself moved there has no reason and is read
// as ReasonExhausted.
type Reason string

// The reasons of a dead letter.
const (
	ReasonRejected    Reason = "rejected"    // the License API's answer
	ReasonUnmappable  Reason = "unmappable"  // an event without license data, or one that an operator decides about
	ReasonReversed    Reason = "reversed"    // an event that takes an earlier one back
	ReasonStale       Reason = "stale"       // a request of an event that was too old when it was received
	ReasonHeld        Reason = "held"        // the brake: more licenses than a source may act on in an hour
	ReasonWatched     Reason = "watched"     // watch mode: decided and looked up, nothing written
	ReasonInvalid     Reason = "invalid"     // not a message in our wire form
	ReasonCrashed     Reason = "crashed"     // a panic, five times
	ReasonUndelivered Reason = "undelivered" // the queue did not accept it
	ReasonExhausted   Reason = "exhausted"   // still deferred at receive 290; without attributes, SQS moved it at receive 301
)

// Reasons lists every reason of a dead letter.
func Reasons() []Reason {
	return []Reason{
		ReasonRejected, ReasonUnmappable, ReasonReversed, ReasonStale, ReasonHeld, ReasonWatched, ReasonInvalid, ReasonCrashed,
		ReasonUndelivered, ReasonExhausted,
	}
}

// Request asks for one license to be deactivated on one device. Its ID is source, event id and index within the event:
// the same at every redelivery, on every log line and through every redrive.
type Request struct {
	ID         string
	Action     string // "" means ActionDeactivateLicense
	Source     string
	Origin     string // one of Origins; "" means OriginEvent
	Run        string // name of the bulk run that it belongs to; "" for none
	Cause      string // one of Causes
	Rule       string // name of the rule that made it; "" for a direct invocation
	Event      string // the sender's event id; "" for a direct invocation
	Order      []string
	OccurredAt time.Time // zero where the sender gives no time
	ReceivedAt time.Time
	Lookup     Lookup    // ids to find the licenses by where no device is named
	Scope      string    // one of Scopes; "" means ScopeOrder
	Products   []Product // with ScopeItems: what was refunded
	Disable    bool      // disable the licenses, too, once their devices are free
	Buyer      bool      // a buyer can write the place that names the license: a look-up confirms it first
	Released   Release   // a person's word that a held message is to be acted on
	By         string    // who asked for it by a direct invocation, as the caller gives it; "" for an event
	Comment    string    // why, as the caller gives it

	// RequestFile is the text of a .req file, only with an offline action. It holds a license key, a device and
	// signatures: never log it.
	RequestFile string

	License
}

// License names the license and the device with the License API's field names. It has the fields of
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

// Identity identifies the license, as a key for "never two calls for one license at the same time". It holds the
// license key or user name itself: never log it. "" where no identity is set.
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
