package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"license-deactivator/internal/sample"
)

func newSources(f *files) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sources",
		Short: "List and check the senders' files",
		Long: `A source is a sender of webhooks. One YAML file says how it signs, where the license data is and which events matter;
sources lists these files and finds their errors. They are the built-in ones, or those of --sources DIR.`,
		Example: `  licensectl sources list
  licensectl sources check sources`,
	}
	return group(cmd, newSourcesList(f), newSourcesCheck(f))
}

func newSourcesList(f *files) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the senders: address, rules, samples, signature",
		Example: `  licensectl sources list
  licensectl sources list --sources my-sources`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sources, err := f.load()
			if err != nil {
				return err
			}
			samples, err := sample.ReadAll(f.events())
			if err != nil {
				return failed(err, "correct the samples in events/")
			}
			number := map[string]int{}
			for _, s := range samples {
				number[s.Source]++
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "NAME\tADDRESS\tRULES\tSAMPLES\tSIGNED BY")
			for _, name := range sources.Names() {
				source, _ := sources.Get(name)
				on := 0
				for _, r := range source.Rules() {
					if r.Enabled {
						on++
					}
				}
				rules := fmt.Sprintf("%d on", on)
				if off := len(source.Rules()) - on; off > 0 {
					rules += fmt.Sprintf(", %d off", off)
				}
				schemes := source.Schemes()
				fmt.Fprintf(table, "%s\t/webhooks/%s\t%s\t%d\t%s\n", name, name, rules, number[name], schemes[0])
				for _, other := range schemes[1:] {
					fmt.Fprintf(table, "\t\t\t\tor %s\n", other)
				}
			}
			return table.Flush()
		},
	}
}
