package deactivation

import "strings"

// maxJoined is how many texts JoinTexts takes: an order has some ids, and a line stays below CloudWatch's 1 MiB.
const maxJoined = 50

// JoinTexts joins texts to one, with a blank between two of them: the form of LogOrder and LogLicenseHash. A blank within a text
// is written as %20, and a percent sign as %25, so that the id "1001 copy" is not taken for the id "1001" and another one. It
// takes the first 50 texts, each cleaned and bounded (CleanText). SplitTexts is its inverse.
func JoinTexts(texts []string) string {
	joined := make([]string, 0, min(len(texts), maxJoined))
	for _, text := range texts[:cap(joined)] {
		if text = JoinedText(text); text != "" {
			joined = append(joined, text)
		}
	}
	return strings.Join(joined, " ")
}

// JoinedText is a text as JoinTexts writes it: a query for it asks for this form.
func JoinedText(text string) string {
	return strings.NewReplacer("%", "%25", " ", "%20").Replace(CleanText(text))
}

// SplitTexts returns the texts that JoinTexts has joined.
func SplitTexts(joined string) []string {
	if joined == "" {
		return nil
	}
	texts := strings.Split(joined, " ")
	for i, text := range texts {
		texts[i] = strings.NewReplacer("%20", " ", "%25", "%").Replace(text)
	}
	return texts
}
