package source

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// Lengths of an id in characters. 80 is the queue's limit for an entry of a batch, and fits a line of a log.
const (
	maxIDLength  = 80
	idHashLength = 16 // 64 bits of SHA-256, enough to distinguish the events of one sender
)

// requestID is <source>.<event id>.<n>: the same at every redelivery. A hash is appended to an event id with other
// characters than letters, digits, dots, underscores and hyphens, and to one that makes the whole longer than 80.
func requestID(source, event string, n int) string {
	number := "." + strconv.Itoa(n)
	clean := cleanID(event)
	room := maxIDLength - len(source) - 1 - len(number)
	if clean == event && len(clean) <= room {
		return source + "." + event + number
	}
	return source + "." + withHash(clean, event, room) + number
}

// shortID is an event id in the form of messages and logs: unchanged, or as in requestID.
func shortID(event string) string {
	clean := cleanID(event)
	if clean == event && len(event) <= maxIDLength {
		return event
	}
	return withHash(clean, event, maxIDLength)
}

// withHash is the beginning of clean with a hash of the event id, in at most room characters.
func withHash(clean, event string, room int) string {
	sum := sha256.Sum256([]byte(event))
	suffix := "-" + hex.EncodeToString(sum[:])[:idHashLength]
	return clean[:min(len(clean), room-len(suffix))] + suffix
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
