package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"license-deactivator/internal/bulk"
)

// columnFlags say what the columns of a file mean.
type columnFlags struct{ maps, sets []string }

func (f *columnFlags) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.maps, "map", nil, "COLUMN=FIELD: the column is that field; COLUMN= ignores it; may be repeated")
	cmd.Flags().StringArrayVar(&f.sets, "set", nil, "FIELD=VALUE: every row has this value; may be repeated")
	_ = cmd.RegisterFlagCompletionFunc("map", completeFields(true))
	_ = cmd.RegisterFlagCompletionFunc("set", completeFields(false))
}

// completeFields completes the field behind "COLUMN=", or the field before "=VALUE".
func completeFields(afterColumn bool) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		column, _, found := strings.Cut(typed, "=")
		var texts []string
		for _, name := range bulk.FieldNames() {
			switch {
			case afterColumn && found:
				texts = append(texts, column+"="+name)
			case !afterColumn && !found:
				texts = append(texts, name+"=")
			}
		}
		return texts, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// columns reads --map and --set.
func (f *columnFlags) columns() (bulk.Columns, error) {
	c := bulk.Columns{Map: map[string]string{}, Set: map[string]string{}}
	for _, text := range f.maps {
		at := strings.LastIndexByte(text, '=')
		if at < 1 {
			return c, misused("give COLUMN=FIELD, or COLUMN= to ignore the column", "--map %s is not of that form", text)
		}
		if _, twice := c.Map[text[:at]]; twice {
			return c, misused("leave one of them out", "--map %s is given twice", text[:at])
		}
		c.Map[text[:at]] = text[at+1:]
	}
	for _, text := range f.sets {
		name, value, found := strings.Cut(text, "=")
		if !found {
			return c, misused("give FIELD=VALUE", "--set has no value")
		}
		if _, twice := c.Set[name]; twice {
			return c, misused("leave one of them out", "--set %s is given twice", name)
		}
		c.Set[name] = value
	}
	return c, nil
}

// setNames returns the fields of --set.
func (f *columnFlags) setNames() []string {
	var names []string
	for _, text := range f.sets {
		name, _, _ := strings.Cut(text, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// screenColumns is the width for which the lines of a bulk command are made.
const screenColumns = 60

// wrapped breaks a text into lines that fit beside a margin of that many columns, and puts the margin before all but the first.
func wrapped(text string, margin int) string {
	return strings.Join(wrap(text, screenColumns-margin), "\n"+strings.Repeat(" ", margin))
}

// wrappedList is wrapped for a list, none of whose items is broken.
func wrappedList(items []string, margin int) string {
	const blank = "\x00"
	text := strings.ReplaceAll(strings.Join(items, ",\n"), " ", blank)
	return strings.ReplaceAll(wrapped(text, margin), blank, " ")
}
