package source

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"sync"
)

// Lengths of an id in characters. 80 is the queue's limit for an entry of a batch, and fits a line of a log.
const (
	maxIDLength  = 80
	idHashLength = 16 // 64 bits of SHA-256, enough to distinguish the events of one sender
)

// requestIDs returns the ids of an event's requests by their number. An id is <source>.<event id>.<n>: the same at every
// redelivery. A hash is appended to an event id with other characters than letters, digits, dots, underscores and
// hyphens, and to one that makes the whole longer than 80. An event id may be as long as a body, so it is read once.
func requestIDs(source, event string) func(n int) string {
	name := newEventName(event)
	return func(n int) string {
		number := "." + strconv.Itoa(n)
		return source + "." + name.within(maxIDLength-len(source)-1-len(number)) + number
	}
}

// shortID is an event id in the form of messages and logs: unchanged, or as in requestIDs.
func shortID(event string) string { return newEventName(event).within(maxIDLength) }

// eventName is an event id, prepared to be written in little room.
type eventName struct {
	clean   string // without the characters that a request's id cannot hold
	changed bool
	hash    func() string
}

func newEventName(event string) eventName {
	clean := cleanID(event)
	return eventName{clean, clean != event, sync.OnceValue(func() string {
		sum := sha256.Sum256([]byte(event))
		return "-" + hex.EncodeToString(sum[:])[:idHashLength]
	})}
}

// within is the name in at most room characters: itself, or its beginning with a hash of the event id.
func (e eventName) within(room int) string {
	if !e.changed && len(e.clean) <= room {
		return e.clean
	}
	return e.clean[:min(len(e.clean), room-len(e.hash()))] + e.hash()
}

// cleanID replaces the characters that a request's id cannot hold.
func cleanID(event string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}, event)
}
