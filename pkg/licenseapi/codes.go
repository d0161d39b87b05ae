package licenseapi

// Code is a row of the one table from the API's codes to kinds.
type Code struct {
	Code    string
	Kind    Kind
	Meaning string // for a person, in a few words
}

// Codes returns the table: every documented code, in the order of its kinds. For a code that is not in the table, only
// the status decides. [OfflineCodes] lists the codes that mean something else as the answer to a request file.
//
// Sources: https://docs.licensespring.com/license-api/error-responses,
// https://docs.licensespring.com/license-api/license-api-authorization/api-key-authorization,
// https://docs.licensespring.com/sdks/errors-and-response-codes and the deactivation pages; the OAuth codes are in
// the source of the vendor's SDKs.
func Codes() []Code {
	return []Code{
		{"device_not_found", KindAlreadyInactive, "no active device with this hardware id; a wrong hardware id looks the same"},
		{"license_not_active", KindAlreadyInactive, "the license is not active on any device"},
		{"license_not_enabled", KindAlreadyInactive, "the license is disabled: finished for a refund, though this call freed no slot"},

		{"license_not_found", KindRejected, "no such license, or no such license user"},
		{"unknown_product", KindRejected, "no product has this short code"},
		{"disabled_product", KindRejected, "the product is disabled"},
		{"archived_product", KindRejected, "the product is archived"},
		{"blacklisted", KindRejected, "the device is blacklisted"},
		{"license_expired", KindRejected, "the license has expired"},
		{"missing_hardware_id", KindRejected, "the request names no device"},
		{"license_key_required", KindRejected, "the request names no license"},
		{"missing_parameters", KindRejected, "the request lacks a field"},
		{"missing_content", KindRejected, "the request is empty"},
		{"invalid_json", KindRejected, "the request is not JSON"},
		{"validation_error", KindRejected, "a field of the request is not valid"},

		// Codes of activation, which the deactivation page repeats.
		{"vm_not_allowed", KindRejected, "virtual machines are not allowed"},
		{"offline_floating_cloud_not_supported", KindRejected, "a floating cloud license that is used offline"},
		{"license_start_date_error", KindRejected, "the license is not valid yet"},
		{"license_activated_max_times", KindRejected, "the license has no activation left"},
		{"license_user_activated_max_times", KindRejected, "the user has no activation left"},
		{"license_transferred_max_times", KindRejected, "the license has no transfer left"},
		{"license_device_exists", KindRejected, "the license already has this device"},

		// Codes of other endpoints and of single sign-on.
		{"active_license_required", KindRejected, "the license has to be active"},
		{"borrow_until_not_valid", KindRejected, "the end of the borrowing is not valid"},
		{"change_password_not_allowed", KindRejected, "the password may not be changed"},
		{"customer_account_id_mismatch", KindRejected, "the customer account differs"},
		{"customer_account_not_found", KindRejected, "no such customer account"},
		{"customer_does_not_exist", KindRejected, "no such customer"},
		{"customer_not_found", KindRejected, "no such customer"},
		{"order_id_exists", KindRejected, "an order with this id exists"},

		{"date_header_diff", KindStaleDate, "the request's date and the server's clock are more than 15 minutes apart"},

		{"signature_mismatch", KindBadCredentials, "the shared key or the signed text is wrong"},
		{"invalid_api_key", KindBadCredentials, "no such API key"},
		{"revoked_api_key", KindBadCredentials, "the API key was revoked"},
		{"oauth_token_expired", KindBadCredentials, "the OAuth token has expired"},
		{"oauth_token_malformed", KindBadCredentials, "the OAuth token cannot be read"},
		{"invalid_client", KindBadCredentials, "the OAuth client's id or secret is wrong"},
		{"unauthorized_client", KindBadCredentials, "the OAuth client may not request tokens"},

		{"authorization_invalid_headers", KindMisconfigured, "the Authorization header signs a text other than the date"},
		{"authorization_missing_params", KindMisconfigured, "a part of the Authorization header is missing"},
		{"hmac_required", KindMisconfigured, "the Authorization header names another algorithm"},
		{"read_only_api_key", KindMisconfigured, "the API key may not change anything"},
		{"missing_headers", KindMisconfigured, "Date or Authorization did not arrive"},

		{"not_found", KindRefused, "there is nothing at this address; the documentation does not say whether a route or an object is missing"},

		{"api_key_product_not_allowed", KindProductNotAllowed, "the API key is restricted to other products"},

		{"internal_error", KindUnavailable, "a failure in the server"},
	}
}

// kindOfCode looks a code up. Only errors need it, so a linear search over some fifty rows is cheap enough.
func kindOfCode(code string) (kind Kind, known bool) {
	for _, row := range Codes() {
		if row.Code == code {
			return row.Kind, true
		}
	}
	return 0, false
}
