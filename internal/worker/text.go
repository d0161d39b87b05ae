package worker

import "license-deactivator/internal/deactivation"

// cleanAll cleans each text.
func cleanAll(texts []string) []string {
	var cleaned []string
	for _, text := range texts {
		cleaned = append(cleaned, deactivation.CleanText(text))
	}
	return cleaned
}
