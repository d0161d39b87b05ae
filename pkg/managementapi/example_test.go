package managementapi_test

import (
	"context"
	"fmt"

	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/managementapi"
)

func Example() {
	// A fake of the API replaces https://saas.licensespring.com/api/v1.
	api, err := licenseapitest.New(licenseapitest.State{
		ManagementAPIKeys: []string{"my-management-key"},
		Licenses: []licenseapitest.License{
			{ID: 7, Product: "XY", LicenseKey: "AAAA-BBBB-CCCC-DDDD", Order: "pi_3Nx", Devices: []string{"office-laptop"}},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	url, stop, err := api.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()

	client, err := managementapi.New(managementapi.Config{BaseURL: licenseapitest.ManagementURL(url), Key: "my-management-key"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, order := context.Background(), managementapi.ByOrder("pi_3Nx")
	found, err := client.Licenses(ctx, order, 100)
	if err != nil || !found.Whole {
		fmt.Println(managementapi.KindOf(err), managementapi.CodeOf(err))
		return
	}
	for _, license := range found.Records {
		if !order.Matches(license) {
			fmt.Println("the API returned a license that was not asked for: do nothing")
			return
		}
		devices, err := client.Devices(ctx, license.ID, 100)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(license, devices.Records)
		fmt.Println(client.Disable(ctx, license.ID))
	}
	// Output:
	// license 7 (…DDDD) of XY [device 2000000001 (…ptop) of license 7]
	// <nil>
}
