package worker

import (
	"fmt"

	"license-deactivator/internal/deactivation"
)

// guard decides a message that may be sent and must not be acted on: in watch mode every message, else those that the
// brake holds. guarded is false for a message to act on. guard counts the message's license, so call it once, before
// the first call.
//
// A look-up, when the worker has one, asks held again before its first write, with all licenses that it found: all of them
// are admitted, or none.
func (b *batch) guard(m *message) (r result, guarded bool) {
	held := b.h.held(m.request, m.request.Identity())
	switch {
	case b.h.cfg.Watch && held != "":
		return rejected(deactivation.ReasonWatched, deactivation.CodeSurge, "would hold it: "+held), true
	case b.h.cfg.Watch:
		return rejected(deactivation.ReasonWatched, "", "would "+describe(m.request)), true
	case held != "":
		return rejected(deactivation.ReasonHeld, deactivation.CodeSurge, held), true
	}
	return result{}, false
}

// held says why the brake holds a request that acts on these licenses, by their identities; "" if it does not. A direct
// invocation names each license, and a person has reviewed a released request: neither is held, and neither counts.
func (h *Handler) held(r deactivation.Request, identities ...string) string {
	if r.Origin == deactivation.OriginDirect || !r.Released.IsZero() {
		return ""
	}
	return h.brake.admit(r.Source, r.ReceivedAt, identities...)
}

func rejected(reason deactivation.Reason, code, detail string) result {
	return result{outcome: deactivation.Rejected, reason: reason, code: code, detail: deactivation.CleanText(detail)}
}

// describe says what a request does, without a key, in the words that follow "would".
func describe(r deactivation.Request) string {
	license := "license " + deactivation.Shorten(r.LicenseKey)
	switch {
	case r.Username != "":
		license = "the license of user " + deactivation.HashUser(r.Username)
	case r.LicenseKey == "":
		license = "the license of a single sign-on user"
	}
	device := "device " + deactivation.Shorten(r.HardwareID)
	switch r.Action {
	case deactivation.ActionDeactivateBundle:
		return fmt.Sprintf("deactivate every license of bundle %s on %s, by %s", r.Product, device, license)
	case deactivation.ActionDeactivateOffline:
		return fmt.Sprintf("post the request file that deactivates %s of %s on %s", license, r.Product, device)
	case deactivation.ActionDeactivateBundleOffline:
		return fmt.Sprintf("post the request file that deactivates every license of bundle %s on %s, by %s", r.Product, device, license)
	}
	return fmt.Sprintf("deactivate %s of %s on %s", license, r.Product, device)
}
