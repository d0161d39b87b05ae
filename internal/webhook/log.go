package webhook

import (
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/telemetry"
)

// maxHashes is how many licenses of one event its line names. The line of each message names its own.
const maxHashes = 50

// addRequests adds what an event's line says about its requests.
func addRequests(line *telemetry.Delivery, requests []deactivation.Request) {
	for _, r := range requests {
		line.Requests = append(line.Requests, r.ID)
		for _, id := range r.OrderIDs() {
			if !slices.Contains(line.Order, id) {
				line.Order = append(slices.Clip(line.Order), id)
			}
		}
		if r.LicenseKey == "" || len(line.LicenseHashes) == maxHashes {
			continue
		}
		if hash := deactivation.HashLicense(r.LicenseKey); !slices.Contains(line.LicenseHashes, hash) {
			line.LicenseHashes = append(line.LicenseHashes, hash)
		}
	}
	if len(requests) > 0 {
		line.Cause = requests[0].Cause                                                // that of the event's rule
		line.ID = requests[0].ID[:max(strings.LastIndexByte(requests[0].ID, '.'), 0)] // without the number of the request
	}
}

// requestLetter is the line of a request in the dead-letter queue.
func requestLetter(r deactivation.Request, reason deactivation.Reason, detail string) telemetry.DeadLetter {
	line := telemetry.DeadLetter{
		ID: r.ID, Source: r.Source, Event: r.Event, Run: r.Run, Cause: r.Cause, Rule: r.Rule, Reason: reason, Detail: deactivation.CleanText(detail),
		Order: r.OrderIDs(), Action: r.Action, License: deactivation.Shorten(r.LicenseKey), User: deactivation.HashUser(r.Username),
		Device: deactivation.Shorten(r.HardwareID), Product: r.Product,
	}
	if r.LicenseKey != "" {
		line.LicenseHashes = []string{deactivation.HashLicense(r.LicenseKey)}
	}
	return line
}
