package history

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
)

// Question is what a person asks about. Exactly one field is set. Make it with OfOrder, OfLicense, OfID, OfRun or
// OfLatest.
type Question struct {
	Order       string `json:"order,omitempty"`        // one id of the order
	LicenseHash string `json:"license_hash,omitempty"` // deactivation.HashLicense of the key
	ID          string `json:"id,omitempty"`           // of a request, or of an event: its source and event id
	Run         string `json:"run,omitempty"`          // name of a bulk run

	// latest asks for everything; see OfLatest.
	latest bool
}

// OfOrder asks about an order by one of its ids.
func OfOrder(id string) Question { return Question{Order: deactivation.CleanText(id)} }

// OfLicense asks about a license by its key. Only the key's hash is kept.
func OfLicense(key string) Question {
	return Question{LicenseHash: deactivation.HashLicense(strings.TrimSpace(key))}
}

// OfID asks about a request by its id, or about an event by its source and event id.
func OfID(id string) Question { return Question{ID: deactivation.CleanText(id)} }

// OfRun asks about a bulk run by its name.
func OfRun(name string) Question { return Question{Run: deactivation.CleanText(name)} }

// OfLatest asks for every delivery, message and dead letter. A source returns the latest lines alone, up to its bound for one
// question, and says in Scan.Incomplete that there are more.
func OfLatest() Question { return Question{latest: true} }

// errQuestion is the error of a question about nothing or about several things.
var errQuestion = errors.New("history: a question is about one of order, license, id and run")

// licenseHash is the form of a hash: what else is asked for might be a key.
var licenseHash = regexp.MustCompile(`^[0-9a-f]{16}$`)

// Check refuses a question that is not about exactly one thing, and a license_hash that is not a hash.
func (q Question) Check() error {
	n := 0
	for _, set := range []bool{q.Order != "", q.LicenseHash != "", q.ID != "", q.Run != "", q.latest} {
		if set {
			n++
		}
	}
	if n != 1 {
		return errQuestion
	}
	if q.LicenseHash != "" && !licenseHash.MatchString(q.LicenseHash) {
		return errors.New("history: a license_hash has 16 hexadecimal digits")
	}
	return nil
}

// String is the question for a person: "order 1001".
func (q Question) String() string {
	switch {
	case q.Order != "":
		return "order " + q.Order
	case q.LicenseHash != "":
		return "the license with hash " + q.LicenseHash
	case q.ID != "":
		return "id " + q.ID
	case q.latest:
		return "the latest events"
	}
	return "run " + q.Run
}

// eventOf returns the id of the event of a request whose id ends in a number: stripe.evt_1.0 is part of stripe.evt_1. ok is
// false for any other id: it is an event's, or that of a row of a direct invocation.
func eventOf(id string) (event string, ok bool) {
	at := strings.LastIndexByte(id, '.')
	if at <= 0 || at == len(id)-1 || strings.Trim(id[at+1:], "0123456789") != "" {
		return "", false
	}
	return id[:at], true
}

// matches reports whether a line answers the question, as Query asks for it.
func (q Question) matches(l Line) bool {
	switch {
	case q.Order != "":
		return isPart(l.Order, q.Order)
	case q.LicenseHash != "":
		return isPart(l.LicenseHash, q.LicenseHash)
	case q.ID != "":
		event, isRequest := eventOf(q.ID)
		return l.ID == q.ID || isRequest && l.ID == event || isRequestOf(l.ID, q.ID)
	}
	if q.latest {
		return slices.Contains(latestTexts(), l.Text)
	}
	return l.Run == q.Run
}

// latestTexts are the texts of the lines that OfLatest asks for.
func latestTexts() []string {
	return []string{deactivation.LogDelivery, deactivation.LogMessage, deactivation.LogDeadLetter}
}

// isRequestOf reports whether an id is that of a request of the event.
func isRequestOf(id, event string) bool {
	of, ok := eventOf(id)
	return ok && of == event
}

// isAbout reports whether a question is about a request that a delivery's line lists. own are the ids of the requests that
// have lines of their own among the answer's.
func (q Question) isAbout(l Line, id string, own map[string]bool) bool {
	switch {
	case q.ID != "":
		return id == q.ID || isRequestOf(id, q.ID)
	case q.LicenseHash != "":
		return l.LicenseHash == q.LicenseHash || own[id] // of several licenses the line does not say which request has which
	}
	return true
}

// isPart reports whether one of the joined texts (deactivation.JoinTexts) is the given one.
func isPart(joined, text string) bool {
	return strings.Contains(" "+joined+" ", " "+deactivation.JoinedText(text)+" ")
}
