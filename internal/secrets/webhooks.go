package secrets

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
)

// webhooksForm is the form of the value to store.
const webhooksForm = `store {"<source>":"key"} or {"<source>":["new key","old key"]}`

// Webhooks holds the keys of every source. They are never printed.
type Webhooks struct {
	sources map[string]sourceKeys
}

type sourceKeys struct {
	texts []string
	err   error
}

// Format implements fmt.Formatter for every verb.
func (w Webhooks) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[webhook secrets of %d sources]", len(w.sources))
}

// LogValue implements slog.LogValuer.
func (w Webhooks) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(w)) }

// ParseWebhooks reads {"stripe":["whsec_new","whsec_old"],"shopify":"…"}. It fails when the text as a whole cannot be
// read. Keys returns a problem of a single source, so that it does not stop the others. The errors say what is wrong
// and what to store, and hold no part of the text.
func ParseWebhooks(text string) (Webhooks, error) {
	fields, err := object(text)
	if err != nil {
		return Webhooks{}, fmt.Errorf("secrets: webhook secrets: %w; %s", err, webhooksForm)
	}
	w := Webhooks{sources: make(map[string]sourceKeys, len(fields))}
	for source, raw := range fields {
		texts, err := keyTexts(raw)
		if err != nil {
			err = fmt.Errorf("secrets: webhook secret of %q: %w; %s", source, err, webhooksForm)
		}
		w.sources[source] = sourceKeys{texts, err}
	}
	return w, nil
}

// Keys returns the keys of a source, any of which may match; the slice must not be changed. A source that is not in the
// secret has none: (nil, nil). One unusable key makes the whole source an error, since a rotation with only some of its
// keys would refuse some deliveries.
func (w Webhooks) Keys(source string) (texts []string, err error) {
	keys := w.sources[source]
	return keys.texts, keys.err
}

// Replace returns the secrets with each key replaced by what f returns for it.
func (w Webhooks) Replace(f func(source, text string) string) Webhooks {
	replaced := Webhooks{sources: make(map[string]sourceKeys, len(w.sources))}
	for source, keys := range w.sources {
		texts := make([]string, len(keys.texts))
		for i, text := range keys.texts {
			texts[i] = f(source, text)
		}
		replaced.sources[source] = sourceKeys{texts, keys.err}
	}
	return replaced
}

// Sources lists the sources that the secret names, sorted.
func (w Webhooks) Sources() []string {
	return slices.Sorted(maps.Keys(w.sources))
}

// keyTexts reads a text or a list of texts.
func keyTexts(raw json.RawMessage) ([]string, error) {
	if raw[0] != '[' {
		key, err := keyText(raw)
		if err != nil {
			return nil, fmt.Errorf("the key %w", err)
		}
		return []string{key}, nil
	}

	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, errors.New("the list of keys is not JSON")
	}
	if len(list) == 0 {
		return nil, errors.New("the list of keys is empty")
	}
	texts := make([]string, len(list))
	for i, raw := range list {
		key, err := keyText(raw)
		if err != nil {
			return nil, fmt.Errorf("key %d of %d %w", i+1, len(list), err)
		}
		texts[i] = key
	}
	return texts, nil
}
