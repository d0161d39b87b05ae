package worker

import (
	"cmp"
	"context"
	"slices"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/internal/telemetry"
)

// logRest logs the invocation's configuration fault, and the messages that are not logged yet.
func (b *batch) logRest(ctx context.Context) {
	switch f := b.fault; {
	case f != nil && f.stops:
		b.h.cfg.Recorder.Fault(ctx, f.what, f.evidence)
	case f != nil:
		b.h.cfg.Recorder.PartialFault(ctx, f.what, f.evidence)
	}
	for _, m := range b.messages {
		b.log(ctx, m)
	}
}

// log writes a message's line, once. Each outcome is logged at once: lines buffered until the batch ends are lost if
// Lambda kills the invocation.
func (b *batch) log(ctx context.Context, m *message) {
	if m.logged {
		return
	}
	m.logged = true
	line := telemetry.Message{
		ID: deactivation.CleanText(m.id()), Source: deactivation.CleanText(m.source), Event: deactivation.CleanText(m.event), Run: deactivation.CleanText(m.request.Run), Cause: deactivation.CleanText(m.request.Cause), Rule: deactivation.CleanText(m.request.Rule),
		Order: m.request.OrderIDs(), Decision: decisionOf(m), Outcome: m.result.outcome, Reason: m.result.reason,
		Class: m.result.class, Code: m.result.code, Detail: m.result.detail,
		Attempts: m.receives, Age: ageOf(m.record, b.h.cfg.Now()), Returned: m.result.returned, AtFault: m.result.atFault, Latency: m.result.latency, RetryIn: m.result.retryIn,
		Action: actionOf(m), License: deactivation.Shorten(m.request.LicenseKey), User: deactivation.HashUser(m.request.Username),
		Device: deactivation.Shorten(m.request.HardwareID), Product: deactivation.CleanText(m.request.Product), KeyVersion: m.result.version,
		LicenseHashes: licenseHashes(m), By: deactivation.CleanText(m.request.By), Comment: deactivation.CleanText(m.request.Comment),
		ReceivedAt: m.request.ReceivedAt, OccurredAt: m.request.OccurredAt, Released: releaseOf(m),
	}
	if m.found != nil {
		line.Lookup, line.LookupShort, line.LookupEnd = m.found.Report.String(), m.found.Report.Short(), endOf(*m.found)
		line.LookupMapped = m.request.Origin != deactivation.OriginDirect
	}
	b.h.cfg.Recorder.Message(ctx, line)
	if b.h.cfg.OnOutcome != nil {
		b.h.cfg.OnOutcome(line)
	}
}

// decisionOf is what the worker decided to do with the message in this receive.
func decisionOf(m *message) deactivation.Decision {
	switch {
	case m.decided:
		return deactivation.DecisionReject
	case m.result.reason == deactivation.ReasonHeld:
		return deactivation.DecisionHold
	case m.result.reason == deactivation.ReasonWatched:
		return deactivation.DecisionWatch
	case m.result.notCalled:
		return deactivation.DecisionWait
	case m.found != nil && m.result.reason == deactivation.ReasonRejected && slices.Contains(append(refusalsOfALookup(), lookup.CodeNoLicense), m.result.code):
		return deactivation.DecisionReject
	}
	return deactivation.DecisionAct
}

// licenseHashes are the hashes of the licenses that the message concerns: the one that it names, and those that its
// look-up found.
func licenseHashes(m *message) []string {
	var hashes []string
	add := func(hash string) {
		if hash != "" && !slices.Contains(hashes, hash) {
			hashes = append(hashes, hash)
		}
	}
	add(deactivation.HashLicense(m.request.LicenseKey))
	if m.found != nil {
		for _, l := range m.found.Report.Licenses {
			add(l.Hash)
		}
	}
	return hashes
}

// endOf is why a look-up has ended, in the metrics: one of a few texts; "" where it is to be repeated.
func endOf(found lookup.Result) string {
	switch {
	case found.Outcome == deactivation.Deferred:
		return ""
	case found.Code == lookup.CodeNoLicense:
		return telemetry.LookupNotFound
	case found.Reason == deactivation.ReasonRejected && slices.Contains(refusalsOfALookup(), found.Code):
		return found.Code
	case found.Reason == deactivation.ReasonRejected, found.Reason == deactivation.ReasonHeld:
		return string(found.Reason)
	case found.StillUsable:
		return telemetry.LookupStillUsable
	}
	return telemetry.LookupFound
}

// refusalsOfALookup are the codes of dead letters that internal/lookup makes itself, except no_license.
func refusalsOfALookup() []string {
	return []string{
		lookup.CodeTooMany, lookup.CodePartial, lookup.CodeUnconfirmed, lookup.CodeGivenBack, lookup.CodeNewerThanEvent, lookup.CodeMismatch,
	}
}

// actionOf is the action of a message that is a request; "" for any other.
func actionOf(m *message) string {
	if m.decided {
		return deactivation.CleanText(m.request.Action)
	}
	return cmp.Or(m.request.Action, deactivation.ActionDeactivateLicense)
}

// releaseOf is who released the message, when and why.
func releaseOf(m *message) deactivation.Release {
	r := m.request.Released
	r.By, r.Reason = deactivation.CleanText(r.By), deactivation.CleanText(r.Reason)
	return r
}
