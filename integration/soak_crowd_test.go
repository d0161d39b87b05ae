//go:build integration && soak

package integration

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

const (
	crowdSize  = 10_000
	bystanders = 500 // licenses without a request

	// keyPrefix begins every license key of the crowd; no log may hold a whole key.
	keyPrefix = "SOAK-"
)

// A crowd is the messages that are put into the queue, and their expected results.
type crowd struct {
	entries  []queue.Entry
	licenses []licenseapitest.License // at the start
	left     [][]string               // of each license: the devices that are active at the end
	disabled []bool                   // of each license: it is disabled at the end
	asked    []string                 // of each license: the id of a request for it
	dead     map[string]deadEnd       // by body
}

// A deadEnd is a message that must become a dead letter.
type deadEnd struct {
	request    string
	source     string            // "" where no worker can read it
	attributes map[string]string // without attempts and failed_at
}

// newCrowd mixes requests of every expected result. Each license has one more device without a request, except those of
// an order that is refunded as a whole, which the worker has to look up.
func newCrowd(t *testing.T, rng *rand.Rand) *crowd {
	t.Helper()
	c := &crowd{dead: map[string]deadEnd{}}
	for i := range bystanders {
		c.license("no request", fmt.Sprintf("BY%08d", i))
	}
	for i := 0; len(c.entries) < crowdSize; i++ {
		r := deactivation.Request{
			ID: fmt.Sprint("soak.", i), Source: []string{"ops", "shopify", "stripe"}[rng.IntN(3)],
			Cause: deactivation.CauseRefund, ReceivedAt: time.Unix(1_800_000_000, 0),
			License: deactivation.License{Product: "soak", LicenseKey: fmt.Sprintf("%s%08d", keyPrefix, i), HardwareID: fmt.Sprint("hw-", i)},
		}
		switch draw := rng.IntN(1000); {
		case draw < 5: // not one of our messages
			body := fmt.Sprintf(`{"v":2,"id":"soak.%d"}`, i)
			c.dead[body] = deadEnd{request: r.ID, attributes: map[string]string{
				"reason": "invalid", "detail": deactivation.ErrInvalid.Error() + ": version 2 is not known",
			}}
			c.entries = append(c.entries, queue.Entry{Body: body, Group: r.Source})
		case draw < 40:
			c.rejected(t, r, "license_not_found", "License with the provided license user not found")
		case draw < 50:
			r.Product = "unheard-of"
			c.rejected(t, r, "unknown_product", "Provided product was not found")
		case draw < 60 && i > 0: // the sender tries again
			c.entries = append(c.entries, c.entries[rng.IntN(len(c.entries))])
		case draw >= 960:
			c.order(t, r, 1+rng.IntN(2))
		case draw < 80: // the device is not active from the start
			c.license(r.ID, r.LicenseKey)
			c.put(t, r)
		default: // one device, sometimes two of one license
			devices := []string{r.HardwareID}
			c.put(t, r)
			if draw < 150 && len(c.entries) < crowdSize {
				second := r
				second.ID, second.HardwareID = r.ID+".second", r.HardwareID+"-second"
				devices = append(devices, second.HardwareID)
				c.put(t, second)
			}
			c.license(r.ID, r.LicenseKey, devices...)
		}
	}
	rng.Shuffle(len(c.entries), func(i, j int) { c.entries[i], c.entries[j] = c.entries[j], c.entries[i] })
	return c
}

// license adds a license with the devices to deactivate, and one more that stays active.
func (c *crowd) license(askedBy, key string, devices ...string) {
	stays := "kept-" + key
	c.licenses = append(c.licenses, licenseapitest.License{Product: "soak", LicenseKey: key, Devices: append(devices, stays)})
	c.left, c.disabled = append(c.left, []string{stays}), append(c.disabled, false)
	c.asked = append(c.asked, askedBy)
}

// order adds the refund of an order that names no license, and the order's licenses with two devices each.
func (c *crowd) order(t *testing.T, r deactivation.Request, licenses int) {
	t.Helper()
	id := "order of " + r.ID
	for n := range licenses {
		c.licenses = append(c.licenses, licenseapitest.License{
			Product: "soak", LicenseKey: fmt.Sprintf("%s-%d", r.LicenseKey, n), Order: id, Devices: []string{"first", "second"},
		})
		c.left, c.disabled = append(c.left, nil), append(c.disabled, true)
		c.asked = append(c.asked, r.ID)
	}
	r.License, r.Disable = deactivation.License{}, true
	r.Lookup = deactivation.Lookup{Order: []deactivation.Candidate{{ID: id}}}
	c.put(t, r)
}

func (c *crowd) put(t *testing.T, r deactivation.Request) string {
	t.Helper()
	body, err := r.Wire()
	if err != nil {
		t.Fatal(err)
	}
	c.entries = append(c.entries, queue.Entry{Body: body, Group: r.Source})
	return body
}

func (c *crowd) rejected(t *testing.T, r deactivation.Request, code, detail string) {
	t.Helper()
	c.dead[c.put(t, r)] = deadEnd{request: r.ID, source: r.Source, attributes: map[string]string{
		"reason": "rejected", "code": code, "detail": detail, "source": r.Source, "request_id": r.ID,
	}}
}

// judgeLicenses requires every requested device to be inactive and every other one to be active, and every license of a
// refunded order to be disabled and no other one.
func (c *crowd) judgeLicenses(t *testing.T, licenses []licenseapitest.License) {
	t.Helper()
	var lost, harmed []string
	for i, license := range licenses {
		switch disabled := license.Enabled != nil && !*license.Enabled; {
		case disabled && !c.disabled[i]:
			harmed = append(harmed, c.asked[i])
		case !disabled && c.disabled[i]:
			lost = append(lost, c.asked[i])
		}
		for _, device := range license.Devices {
			if !slices.Contains(c.left[i], device) {
				lost = append(lost, c.asked[i])
			}
		}
		for _, device := range c.left[i] {
			if !slices.Contains(license.Devices, device) {
				harmed = append(harmed, c.asked[i])
			}
		}
	}
	few(t, lost, "devices are active or licenses enabled though the reverse was requested, and are in no queue; requests")
	few(t, harmed, "devices are inactive or licenses disabled without a request; licenses of")
}

// judgeDeadLetters requires a dead letter for each message that must become one, and no other. A letter may be there
// more than once: a worker that ends between the dead-letter queue and the delete leaves a message that is received
// again.
func (c *crowd) judgeDeadLetters(t *testing.T, letters map[string]queue.Received, begin time.Time) {
	t.Helper()
	var missing, others, wrong []string
	seen := map[string]bool{}
	for _, letter := range letters {
		want, ok := c.dead[letter.Body]
		if !ok {
			others = append(others, letter.Attributes["request_id"])
			continue
		}
		seen[letter.Body] = true
		if diff := compareDeadLetter(want.attributes, letter, begin); diff != "" || letter.Group != want.source {
			wrong = append(wrong, fmt.Sprintf("%s (group %q): %s", want.request, letter.Group, diff))
		}
	}
	for body, want := range c.dead {
		if !seen[body] {
			missing = append(missing, want.request)
		}
	}
	few(t, missing, "messages are in no queue, but should be dead letters")
	few(t, others, "dead letters are unexpected")
	few(t, wrong, "dead letters have wrong attributes (-want +got)")
	t.Logf("dead letters: %d of %d messages; %d more are copies",
		len(seen), len(c.dead), len(letters)-len(others)-len(seen))
}

// compareDeadLetter compares the attributes. The number of attempts and the time cannot be known before: it checks
// their ranges.
func compareDeadLetter(want map[string]string, letter queue.Received, begin time.Time) string {
	attempts, err := strconv.Atoi(letter.Attributes["attempts"])
	if err != nil || attempts < 1 || attempts > maxReceiveCount {
		return fmt.Sprintf("attempts %q", letter.Attributes["attempts"])
	}
	at, err := time.Parse(time.RFC3339, letter.Attributes["failed_at"])
	if err != nil || at.Before(begin.Truncate(time.Second)) || at.After(time.Now()) {
		return fmt.Sprintf("failed_at %q", letter.Attributes["failed_at"])
	}
	delete(letter.Attributes, "attempts")
	delete(letter.Attributes, "failed_at")
	return cmp.Diff(want, letter.Attributes)
}

// few fails with the number of findings and the first five.
func few(t *testing.T, found []string, what string) {
	t.Helper()
	if len(found) > 0 {
		slices.Sort(found)
		t.Errorf("%d %s: %s", len(found), what, strings.Join(found[:min(len(found), 5)], ", "))
	}
}
