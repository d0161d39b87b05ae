package deadletter

import (
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
)

// Meaning is what a reason, or a reason with a code, means for an operator.
type Meaning struct {
	Reason deactivation.Reason
	Code   string // "": the reason with any other code
	Is     string // what happened
	Do     string // what to do
}

// Meanings returns the table of all reasons. Codes of the License API are in its own table (licenseapi.Codes).
func Meanings() []Meaning {
	return []Meaning{
		{deactivation.ReasonRejected, "", "the License API, or the look-up, refused the request: the code says why",
			"correct the data where they come from, then redrive; purge the letter if the license is already as it should be"},
		{deactivation.ReasonRejected, lookup.CodeNoLicense, "LicenseSpring has no license of this order",
			"find the order in LicenseSpring; if its license is there under another id, correct the id at the store or in the source's file and redrive; if the order has no license, purge the letter"},
		{deactivation.ReasonRejected, lookup.CodeMismatch, "LicenseSpring returned a record that does not match the filter, so nothing was written",
			"compare the records of the order in LicenseSpring with `detail`; redrive when they agree. A redrive never releases it"},
		{deactivation.ReasonRejected, lookup.CodeTooMany, "a review: more licenses or devices were found than one message may act on",
			"look at the order in LicenseSpring; redrive releases the letter to act on all of them"},
		{deactivation.ReasonRejected, lookup.CodePartial, "a review: a part of the order was refunded, and which of its licenses is not certain",
			"find out what was refunded; redrive releases the letter to act on what `detail` says, else request the one license by licensectl deactivate and purge the letter"},
		{deactivation.ReasonRejected, lookup.CodeUnconfirmed, "a review: a buyer can write the id that found the license, and nothing else confirms it",
			"compare the order in the shop with the license in LicenseSpring; redrive releases the letter, else purge it"},
		{deactivation.ReasonRejected, lookup.CodeGivenBack, "a review: somebody enabled the license, or it was activated, after the event",
			"find out who gave the license back and why; redrive releases the letter and deactivates the license again, else purge it"},
		{deactivation.ReasonRejected, lookup.CodeNewerThanEvent, "a review: the license was made more than a day after the event",
			"find out whether the license belongs to this order; redrive releases the letter, else purge it"},
		{deactivation.ReasonUnmappable, "", "an event that matters, without license data; `detail` names what is missing",
			"complete it with redrive --edit or --set, or correct the source's file and redrive --remap; correct the checkout for the next event"},
		{deactivation.ReasonUnmappable, deactivation.CodeReview, "an event about which an operator decides, by a rule of the source's file or because it is unknown what is still paid for",
			"look at the order in the shop; to deactivate its license redrive --edit, else purge the letter"},
		{deactivation.ReasonUnmappable, deactivation.CodeUnknownShape, "no rule of the source's file is for its shape, and no signed type says what it is",
			"add a rule to the source's file, at least `ignore: true`, then redrive --remap or purge; or switch the topic off at the sender"},
		{deactivation.ReasonUnmappable, deactivation.CodeUnreadable, "the sender signed it, and it cannot be read",
			"look at the sender's log of deliveries, and at the order; to deactivate its license redrive --edit, else purge the letter"},
		{deactivation.ReasonReversed, "", "an event that takes an earlier one back: a dispute won, a refund that failed",
			"if a license was deactivated for the earlier event, give it back with licensectl restore or in LicenseSpring; then purge the letter. A redrive never sends it"},
		{deactivation.ReasonStale, "", "a request of an event that was older than MAX_EVENT_AGE allows (14 days, unless it is set otherwise) when it was received, by its own time: an old order that was edited, or a replay; `detail` says its time and age",
			"look at the order; redrive releases the letter, else purge it"},
		{deactivation.ReasonInvalid, "", "not a message in the wire form of this system",
			"find out who may send to the queue; export the letter for the investigation, then purge it by --id"},
		{deactivation.ReasonCrashed, "", "the worker panicked on it five times",
			"report it to the maintainers with the stack in the log; redrive it with a release that corrects it"},
		{deactivation.ReasonUndelivered, "", "the queue did not accept the request in time", "redrive it"},
		{deactivation.ReasonHeld, deactivation.CodeSurge, "the brake: events asked for more licenses of a source in an hour than SURGE_LIMIT allows; nothing was done",
			"find out whether the refunds are real; redrive releases the letters, and purge deletes those that are not real"},
		{deactivation.ReasonHeld, "", "the brake held it; nothing was done", "find out whether the refund is real; redrive releases the letter, else purge it"},
		{deactivation.ReasonWatched, "", "watch mode: nothing was done; `detail` says what would have been done. Code `surge`: the brake would have held it",
			"set Mode to act, then redrive, which releases the letters; or purge them"},
		{deactivation.ReasonExhausted, "", "deferred at 290 receives, an outage or a configuration fault of nearly three days (69 h 42 min at least); `code` and `detail` are the last ones. Without attributes: SQS itself moved it at receive 301",
			"remove the cause, then redrive it"},
	}
}

// MeaningOf returns what a letter's reason and code mean and what to do. A code of the License API has its own meaning,
// which says all about a rejected letter, and what the last answer was for any other.
func MeaningOf(d deactivation.DeadLetter) Meaning {
	found := Meaning{Reason: d.Reason, Is: "a reason that this version does not know", Do: "look at `detail`; a newer version may know the reason"}
	for _, m := range Meanings() {
		if m.Reason == d.Reason && (m.Code == d.Code || m.Code == "" && found.Code == "") {
			found = m
			if m.Code == d.Code && m.Code != "" {
				return found
			}
		}
	}
	if d.Code == "" {
		return found
	}
	for _, known := range licenseapi.Codes() {
		if known.Code != d.Code {
			continue
		}
		found.Code = d.Code
		if d.Reason != deactivation.ReasonRejected {
			found.Is += ". The last answer was " + d.Code + ": " + known.Meaning
			return found
		}
		found.Is = known.Meaning
		if do := worker.TreatmentOf(known.Kind).Todo; do != "" {
			found.Do = do
		}
		return found
	}
	return found
}
