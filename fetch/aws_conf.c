/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/aws_conf.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CONF_MAX ((size_t)1 << 20)

static const char *from_env(const char *name)
{
	const char *v = getenv(name);

	return v != NULL && *v != '\0' ? v : NULL;
}

static int set(char **to, const char *value, struct pgo_err *err)
{
	char *copy = pgo_strdup(value);

	if (copy == NULL)
		return pgo_err_nomem(err);
	pgo_free(*to);
	*to = copy;
	return 0;
}

/* ---------------------------------------------------------------- the files */

/* One file: [NAME], or [profile NAME] in the other of the two, and `key = value` below it. */
struct ini {
	const char *path, *profile;
	struct pgo_aws_conf *to;
	bool here; /* in the profile's section */
	bool secret;
};

/* Cuts blanks off both ends. */
static char *trim(char *s)
{
	char *end;

	s += strspn(s, " \t\r");
	end = s + strlen(s);
	while (end > s && strchr(" \t\r", end[-1]) != NULL)
		*--end = '\0';
	return s;
}

static void section(struct ini *f, char *line)
{
	char *name = line + 1, *end = strchr(name, ']');

	if (end != NULL)
		*end = '\0';
	name = trim(name);
	if (strncmp(name, "profile", 7) == 0 && (name[7] == ' ' || name[7] == '\t'))
		name = trim(name + 7);
	f->here = strcmp(name, f->profile) == 0;
}

/* What the environment, or an earlier file, said already stays. */
static int setting(struct ini *f, const char *key, const char *value, struct pgo_err *err)
{
	struct pgo_aws_credentials *c = &f->to->credentials;
	char **to = NULL;

	if (strcmp(key, "aws_access_key_id") == 0)
		to = &c->key_id;
	else if (strcmp(key, "aws_secret_access_key") == 0)
		to = &c->secret;
	else if (strcmp(key, "aws_session_token") == 0)
		to = &c->token;
	else if (strcmp(key, "region") == 0)
		to = &f->to->region;
	else if (strcmp(key, "endpoint_url") == 0)
		to = &f->to->endpoint;
	f->secret = f->secret || to == &c->secret;
	return to != NULL && *to == NULL ? set(to, value, err) : 0;
}

static int one_line(struct ini *f, char *line, struct pgo_err *err)
{
	bool nested = *line == ' ' || *line == '\t'; /* of a setting with settings of its own */
	char *eq;

	if (*line == '[') {
		section(f, line);
		return 0;
	}
	eq = strchr(line, '=');
	if (!f->here || nested || *line == '#' || *line == ';' || eq == NULL)
		return 0;
	*eq = '\0';
	return setting(f, trim(line), trim(eq + 1), err);
}

static int check_mode(const struct ini *f, struct pgo_err *err)
{
	struct stat st;

	if (f->secret && stat(f->path, &st) == 0 && (st.st_mode & (S_IROTH | S_IWOTH)) != 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s holds a secret that everybody on this machine may read; run: chmod "
			"600 %s",
			f->path, f->path);
	return 0;
}

static int read_ini(
	struct pgo_aws_conf *to, const char *path, const char *profile, struct pgo_err *err)
{
	struct ini f = {.path = path, .profile = profile, .to = to};
	struct pgo_buf text;
	char *line, *rest;
	int rc;

	if (!pgo_path_exists(path))
		return 0;
	rc = pgo_file_read(path, CONF_MAX, &text, err);
	rest = rc == 0 ? text.data : NULL;
	while (rc == 0 && rest != NULL) {
		line = strsep(&rest, "\n");
		rc = one_line(&f, line, err);
	}
	pgo_buf_fini(&text);
	return rc == 0 ? check_mode(&f, err) : rc;
}

/* $NAME, else ~/.aws/BASE; NULL without a home. */
static int read_file(struct pgo_aws_conf *to, const char *name, const char *base,
	const char *profile, struct pgo_err *err)
{
	const char *path = from_env(name), *home = from_env("HOME");
	char *full = NULL;
	int rc;

	if (path == NULL && home == NULL)
		return 0;
	if (path == NULL) {
		path = full = pgo_asprintf("%s/.aws/%s", home, base);
		if (full == NULL)
			return pgo_err_nomem(err);
	}
	rc = read_ini(to, path, profile, err);
	pgo_free(full);
	return rc;
}

/* ---------------------------------------------------------------- all of it */

static int from_environment(struct pgo_aws_conf *c, struct pgo_err *err)
{
	static const char *const regions[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};
	static const char *const endpoints[] = {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"};
	const char *id = from_env("AWS_ACCESS_KEY_ID"), *secret = from_env("AWS_SECRET_ACCESS_KEY");
	const char *token = from_env("AWS_SESSION_TOKEN");
	int rc = 0;

	if ((id == NULL) != (secret == NULL))
		return pgo_err_set(err, PGO_EUSAGE, "%s is set and %s is not; set both, or neither",
			id != NULL ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
			id != NULL ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
	if (id != NULL) { /* a token of a file does not belong to them */
		rc = set(&c->credentials.key_id, id, err);
		if (rc == 0)
			rc = set(&c->credentials.secret, secret, err);
		if (rc == 0)
			rc = set(&c->credentials.token, token != NULL ? token : "", err);
	}
	for (size_t i = 0; i < 2 && rc == 0 && c->region == NULL; i++)
		if (from_env(regions[i]) != NULL)
			rc = set(&c->region, from_env(regions[i]), err);
	for (size_t i = 0; i < 2 && rc == 0 && c->endpoint == NULL; i++)
		if (from_env(endpoints[i]) != NULL)
			rc = set(&c->endpoint, from_env(endpoints[i]), err);
	return rc;
}

static int load(struct pgo_aws_conf *c, struct pgo_err *err)
{
	const char *profile = from_env("AWS_PROFILE");
	int rc = from_environment(c, err);

	if (profile == NULL)
		profile = from_env("AWS_DEFAULT_PROFILE");
	if (profile == NULL)
		profile = "default";
	if (rc == 0)
		rc = read_file(c, "AWS_SHARED_CREDENTIALS_FILE", "credentials", profile, err);
	if (rc == 0)
		rc = read_file(c, "AWS_CONFIG_FILE", "config", profile, err);
	if (rc == 0 && (c->credentials.key_id == NULL) != (c->credentials.secret == NULL))
		rc = pgo_err_set(err, PGO_EUSAGE,
			"the profile '%s' has only one of aws_access_key_id and "
			"aws_secret_access_key",
			profile);
	if (rc == 0 && c->region == NULL)
		rc = set(&c->region, "us-east-1", err);
	if (rc == 0 && c->endpoint == NULL)
		rc = set(&c->endpoint, "", err);
	return rc;
}

int pgo_aws_conf_load(struct pgo_aws_conf *ret, struct pgo_err *err)
{
	int rc;

	memset(ret, 0, sizeof *ret);
	rc = load(ret, err);
	if (rc < 0)
		pgo_aws_conf_fini(ret);
	return rc;
}

void pgo_aws_conf_fini(struct pgo_aws_conf *c)
{
	pgo_free(c->credentials.key_id);
	pgo_free(c->credentials.secret);
	pgo_free(c->credentials.token);
	pgo_free(c->region);
	pgo_free(c->endpoint);
	memset(c, 0, sizeof *c);
}
