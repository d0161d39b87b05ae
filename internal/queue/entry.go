package queue

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxAttributes    = 10
	maxAttributeName = 256 // characters
	maxGroup         = 128 // characters

	// attributeType is the only attribute type that we send. Its name counts toward the size.
	attributeType = "String"
)

// size is the size that SQS counts: the body, and name, type and value of each attribute, in bytes.
func (e Entry) size() int {
	n := len(e.Body)
	for name, value := range e.Attributes {
		n += len(name) + len(attributeType) + len(value)
	}
	return n
}

// check returns an error that wraps ErrRefused when SQS would refuse the entry. The error holds no part of a value.
func (e Entry) check() error {
	if e.Body == "" {
		return fmt.Errorf("%w: the body is empty", ErrRefused)
	}
	if n := e.size(); n > maxBytes {
		return fmt.Errorf("%w: %d bytes with attributes, at most %d", ErrRefused, n, maxBytes)
	}
	if err := checkCharacters("the body", e.Body); err != nil {
		return err
	}
	if err := checkGroup(e.Group); err != nil {
		return err
	}
	if len(e.Attributes) > maxAttributes {
		return fmt.Errorf("%w: %d attributes, at most %d", ErrRefused, len(e.Attributes), maxAttributes)
	}
	for name, value := range e.Attributes {
		if err := checkAttribute(name, value); err != nil {
			return err
		}
	}
	return nil
}

// checkAll returns the indexes of the valid entries, and the failures of the others.
func checkAll(entries []Entry) (valid []int, invalid []Failure) {
	valid = make([]int, 0, len(entries))
	for i, e := range entries {
		if err := e.check(); err != nil {
			invalid = append(invalid, Failure{i, err})
			continue
		}
		valid = append(valid, i)
	}
	return valid, invalid
}

func sortByIndex(failures []Failure) []Failure {
	slices.SortFunc(failures, func(a, b Failure) int { return cmp.Compare(a.Index, b.Index) })
	return failures
}

// checkCharacters allows the characters of https://www.w3.org/TR/REC-xml/#charsets, as SQS does. encoding/json does
// not ensure this: it leaves U+FFFE and U+FFFF as they are.
func checkCharacters(what, text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%w: %s is not UTF-8", ErrRefused, what)
	}
	for _, r := range text {
		allowed := r >= 0x20 && r < 0xFFFE || r > 0xFFFF || r == '\t' || r == '\n' || r == '\r'
		if !allowed {
			return fmt.Errorf("%w: %s holds the character U+%04X, which SQS refuses", ErrRefused, what, r)
		}
	}
	return nil
}

// checkGroup allows the characters of MessageGroupId: ASCII letters, digits and punctuation.
func checkGroup(group string) error {
	if len(group) > maxGroup {
		return fmt.Errorf("%w: the group has %d characters, at most %d", ErrRefused, len(group), maxGroup)
	}
	for _, r := range group {
		if r <= ' ' || r > '~' {
			return fmt.Errorf("%w: the group holds the character U+%04X; letters, digits and punctuation only", ErrRefused, r)
		}
	}
	return nil
}

// checkAttribute checks a name by the rules of
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
func checkAttribute(name, value string) error {
	lower := strings.ToLower(name)
	switch {
	case name == "" || len(name) > maxAttributeName:
		return fmt.Errorf("%w: an attribute's name has %d characters, must be 1 to %d", ErrRefused, len(name), maxAttributeName)
	case strings.ContainsFunc(name, func(r rune) bool { return !isNameCharacter(r) }):
		return fmt.Errorf("%w: an attribute's name must be of A-Z, a-z, 0-9, full stop, _ and -", ErrRefused)
	case strings.HasPrefix(name, "."), strings.HasSuffix(name, "."), strings.Contains(name, ".."),
		strings.HasPrefix(lower, "aws."), strings.HasPrefix(lower, "amazon."):
		return fmt.Errorf("%w: an attribute's name must not begin with AWS. or Amazon., nor begin, end or repeat a full stop", ErrRefused)
	case value == "":
		return fmt.Errorf("%w: the attribute %s is empty; leave it out", ErrRefused, name)
	}
	return checkCharacters("the attribute "+name, value)
}

func isNameCharacter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.'
}
