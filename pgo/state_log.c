/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"
#include "pgo/state.h"
#include "pgo/state_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LOG ((size_t)1 << 28)
#define MAX_LINE ((size_t)1 << 20)
#define DAY_NS INT64_C(86400000000000)

/* ---- reading */

static int64_t time_of(const struct pgo_jval *doc, const char *key)
{
	const char *text = pgo_jval_str(pgo_jval_get(doc, key), "");
	int64_t ns = 0;

	return text[0] != '\0' && pgo_parse_time(text, 0, &ns, NULL) == 0 ? ns : 0;
}

static const char *word_of(const struct pgo_jval *doc, const char *key)
{
	return pgo_jval_str(pgo_jval_get(doc, key), "");
}

static void fill(struct pgo_state_event *e, struct pgo_jval *doc)
{
	e->doc = doc;
	e->seq = (uint64_t)pgo_jval_i64(pgo_jval_get(doc, "seq"), 0);
	e->time_ns = time_of(doc, "time");
	e->clock_ns = time_of(doc, "clock");
	if (e->clock_ns == 0)
		e->clock_ns = e->time_ns;
	e->retry_ns = time_of(doc, "retry");
	e->decision = word_of(doc, "decision");
	e->id = word_of(doc, "id");
	e->last_good = word_of(doc, "last_good");
	e->reason = word_of(doc, "reason");
	e->tool = word_of(doc, "tool");
	e->by = word_of(doc, "by");
	e->fingerprint = word_of(doc, "fingerprint");
	e->exit = (int)pgo_jval_i64(pgo_jval_get(doc, "exit"), 0);
}

static int add_line(struct pgo_state_events *e, const char *path, const char *line, size_t len,
	struct pgo_err *err)
{
	struct pgo_jval *doc = pgo_jdoc_parse(path, line, len, NULL);
	struct pgo_state_event *new;

	if (doc == NULL || word_of(doc, "decision")[0] == '\0') {
		pgo_jdoc_free(doc);
		e->damaged++;
		return 0;
	}
	new = PGO_VEC_PUSH(e->of, e->n, e->room);
	if (new == NULL) {
		pgo_jdoc_free(doc);
		return pgo_err_nomem(err);
	}
	fill(new, doc);
	return 0;
}

static int read_lines(struct pgo_state_events *e, const char *path, const struct pgo_buf *text,
	struct pgo_err *err)
{
	size_t at = 0;
	int rc = 0;

	while (rc == 0 && at < text->len) {
		const char *end = memchr(text->data + at, '\n', text->len - at);
		size_t len = end != NULL ? (size_t)(end - text->data) - at : text->len - at;

		/* A line without its end was being written when the machine stopped. */
		if (end == NULL)
			break;
		if (len != 0)
			rc = add_line(e, path, text->data + at, len, err);
		at += len + 1;
	}
	if (rc == 0 && e->damaged != 0)
		pgo_warn("%s: %zu lines are damaged, passed over", path, e->damaged);
	return rc;
}

int pgo_state_log_read(const struct pgo_state *s, struct pgo_state_events *ret, struct pgo_err *err)
{
	struct pgo_state_events e = {0};
	struct pgo_buf text;
	int rc = 0;

	pgo_buf_init(&text, MAX_LOG);
	if (access(s->log, F_OK) == 0)
		rc = pgo_file_read(s->log, MAX_LOG, &text, err);
	if (rc == 0)
		rc = read_lines(&e, s->log, &text, err);
	pgo_buf_fini(&text);
	if (rc < 0)
		pgo_state_events_fini(&e);
	else
		*ret = e;
	return rc;
}

void pgo_state_events_fini(struct pgo_state_events *e)
{
	for (size_t i = 0; i < e->n; i++)
		pgo_jdoc_free(e->of[i].doc);
	pgo_free(e->of);
	*e = (struct pgo_state_events){0};
}

/* ---- writing */

/* "http://user:password@host" -> "http://host", wherever it stands in a sentence. */
static void put_reason(struct pgo_json *j, const char *reason)
{
	struct pgo_buf out;
	const char *at = reason, *scheme;

	pgo_buf_init(&out, MAX_LINE / 2);
	while ((scheme = strstr(at, "://")) != NULL) {
		size_t authority = strcspn(scheme + 3, "/ \t\n\"'?#");
		const char *user = memrchr(scheme + 3, '@', authority);

		pgo_buf_add(&out, at, (size_t)(scheme + 3 - at));
		at = user != NULL ? user + 1 : scheme + 3;
	}
	pgo_buf_puts(&out, at);
	pgo_json_kv_str(j, "reason", out.failed || out.data == NULL ? "" : out.data);
	pgo_buf_fini(&out);
}

static void put_time(struct pgo_json *j, const char *key, int64_t ns)
{
	char text[64];

	pgo_format_time(ns, text, sizeof text);
	pgo_json_kv_str(j, key, text);
}

static void put_unless_empty(struct pgo_json *j, const char *key, const char *text)
{
	if (text != NULL && text[0] != '\0')
		pgo_json_kv_str(j, key, text);
}

static void put_line(const struct pgo_state *s, const struct pgo_state_decision *d, uint64_t seq,
	int64_t newest_ns, struct pgo_buf *out)
{
	char last_good[PGO_STATE_ID_SIZE];
	int64_t now = pgo_now();
	struct pgo_json j;

	/* To the second, as it is written. */
	now -= now % 1000000000;
	pgo_state_last_good(s, last_good);
	pgo_json_init(&j, out, true);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "v", 1);
	pgo_json_kv_u64(&j, "seq", seq);
	put_time(&j, "time", now > newest_ns ? now : newest_ns);
	if (now < newest_ns)
		put_time(&j, "clock", now);
	pgo_json_kv_str(&j, "target", s->target);
	pgo_json_kv_str(&j, "decision", d->decision);
	pgo_json_kv_str(&j, "id", d->id != NULL ? d->id : "");
	pgo_json_kv_str(&j, "last_good", d->last_good != NULL ? d->last_good : last_good);
	put_reason(&j, d->reason != NULL ? d->reason : "");
	pgo_json_kv_i64(&j, "exit", d->exit);
	pgo_json_kv_str(&j, "tool", "pgo " PGO_VERSION);
	put_unless_empty(&j, "by", d->by);
	put_unless_empty(&j, "fingerprint", d->fingerprint);
	if (d->retry_ns != 0)
		put_time(&j, "retry", d->retry_ns);
	if (d->more != NULL)
		d->more(d->ctx, &j);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

/* Cuts off a line that has no end.  Where it was whole but for that, it gets one. */
static int mend_tail(int fd, const char *path, struct pgo_err *err)
{
	struct pgo_jval *doc = NULL;
	struct pgo_buf text;
	const char *end;
	size_t at;
	int rc = pgo_file_read(path, MAX_LOG, &text, err);

	if (rc == 0 && text.len != 0 && text.data[text.len - 1] != '\n') {
		end = memrchr(text.data, '\n', text.len);
		at = end != NULL ? (size_t)(end - text.data) + 1 : 0;
		doc = pgo_jdoc_parse(path, text.data + at, text.len - at, NULL);
		if (doc != NULL ? write(fd, "\n", 1) != 1 : ftruncate(fd, (off_t)at) < 0)
			rc = pgo_err_errno(err, PGO_EIO, "%s cannot be mended", path);
	}
	pgo_jdoc_free(doc);
	pgo_buf_fini(&text);
	return rc;
}

static int write_line(int fd, const struct pgo_buf *line)
{
	for (size_t at = 0; at < line->len;) {
		ssize_t n = write(fd, line->data + at, line->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? ENOSPC : errno;
			return -1;
		}
		at += (size_t)n;
	}
	return fsync(fd);
}

/* As a rule one write: a crash leaves all of the line or a part that the next one cuts off; so does a
 * disk that is full. */
static int append(const struct pgo_state *s, const struct pgo_buf *line, struct pgo_err *err)
{
	int fd = open(s->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	struct stat st;
	int rc;

	if (fd < 0)
		return pgo_err_errno(err, PGO_EIO, "%s cannot be written", s->log);
	rc = mend_tail(fd, s->log, err);
	if (rc == 0 && fstat(fd, &st) < 0)
		rc = pgo_err_errno(err, PGO_EIO, "%s cannot be examined", s->log);
	if (rc == 0 && write_line(fd, line) < 0) {
		rc = pgo_err_errno(err, PGO_EIO, "%s cannot be written", s->log);
		(void)!ftruncate(fd, st.st_size);
	}
	close(fd);
	if (rc == 0)
		pgo_state_sync_dir(s->dir);
	return rc;
}

int pgo_state_log_append(
	struct pgo_state *s, const struct pgo_state_decision *d, struct pgo_err *err)
{
	struct pgo_state_events log = {0};
	uint64_t seq = 0;
	int64_t newest = 0;
	struct pgo_buf line;
	int rc = pgo_state_log_read(s, &log, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < log.n; i++) {
		seq = log.of[i].seq > seq ? log.of[i].seq : seq;
		newest = log.of[i].time_ns > newest ? log.of[i].time_ns : newest;
	}
	pgo_state_events_fini(&log);
	pgo_buf_init(&line, MAX_LINE);
	put_line(s, d, seq + 1, newest, &line);
	rc = pgo_buf_check(&line, "a line of the log", err);
	if (rc == 0)
		rc = append(s, &line, err);
	pgo_buf_fini(&line);
	return rc;
}

/* ---- what it tells */

static bool is(const struct pgo_state_event *e, const char *decision)
{
	return strcmp(e->decision, decision) == 0;
}

static int64_t day_of(const char *id)
{
	char text[16];
	int64_t ns = 0;

	if (!pgo_state_is_id(id))
		return 0;
	snprintf(text, sizeof text, "%.4s-%.2s-%.2s", id, id + 4, id + 6);
	return pgo_parse_time(text, 0, &ns, NULL) == 0 ? ns : 0;
}

void pgo_state_story(
	const struct pgo_state_events *log, const char *id, struct pgo_state_story *ret)
{
	*ret = (struct pgo_state_story){0};
	for (size_t i = 0; i < log->n; i++) {
		const struct pgo_state_event *e = &log->of[i];

		/* As good as a newer one: said of what was kept. */
		if (is(e, "suppressed") && strcmp(e->last_good, id) == 0 && e->retry_ns == 0)
			ret->confirmed_ns = e->clock_ns;
		if (strcmp(e->id, id) != 0)
			continue;
		ret->last = e;
		if (ret->first == 0)
			ret->first = i + 1;
		if (is(e, "published") || is(e, "promoted") || is(e, "migrated")) {
			ret->published_ns = ret->confirmed_ns = e->clock_ns;
			ret->withdrawn = false;
		} else if (is(e, "rolled_back") || is(e, "rejected")) {
			ret->withdrawn = true;
		} else if (is(e, "verified")) {
			ret->verified = true;
		}
	}
	if (ret->published_ns == 0)
		ret->published_ns = day_of(id);
	if (ret->confirmed_ns < ret->published_ns)
		ret->confirmed_ns = ret->published_ns;
}

static int compare_times(const void *va, const void *vb)
{
	const struct pgo_state_entry *a = va, *b = vb;

	if (a->quarantined != b->quarantined)
		return a->quarantined ? 1 : -1;
	if (memcmp(a->id, b->id, 8) != 0)
		return memcmp(a->id, b->id, 8);
	/* One that is not in the log yet is the newest. */
	if (a->first != b->first)
		return a->first == 0 ? 1 : b->first == 0 ? -1 : a->first < b->first ? -1 : 1;
	return strcmp(a->id, b->id);
}

void pgo_state_order(struct pgo_state_entries *e, const struct pgo_state_events *log)
{
	for (size_t i = 0; i < e->n; i++) {
		struct pgo_state_story story;

		pgo_state_story(log, e->of[i].id, &story);
		e->of[i].first = story.first;
	}
	if (e->n != 0)
		qsort(e->of, e->n, sizeof *e->of, compare_times);
}

void pgo_state_standing(const struct pgo_state *s, const struct pgo_state_events *log,
	int64_t ttl_ns, int64_t now_ns, struct pgo_state_standing *ret)
{
	char pinned[PGO_STATE_ID_SIZE];
	struct pgo_state_story story;
	char *dir;

	*ret = (struct pgo_state_standing){0};
	pgo_state_last_good(s, ret->id);
	/* A link to a directory that somebody removed is of no use. */
	dir = ret->id[0] != '\0' ? pgo_state_path(s, false, ret->id, NULL) : NULL;
	if (dir == NULL || access(dir, F_OK) < 0)
		ret->id[0] = '\0';
	pgo_free(dir);
	if (ret->id[0] == '\0')
		return;
	pgo_state_pinned(s, pinned);
	pgo_state_story(log, ret->id, &story);
	ret->pinned = strcmp(pinned, ret->id) == 0;
	ret->verified = story.verified;
	ret->published_ns = story.published_ns;
	ret->confirmed_ns = story.confirmed_ns;
	ret->age_ns = pgo_state_age(story.confirmed_ns, now_ns);
	ret->early = story.confirmed_ns > now_ns + DAY_NS;
	if (ttl_ns == 0 || ret->pinned)
		return;
	ret->expires_ns = story.confirmed_ns + ttl_ns;
	ret->expired = ret->age_ns > ttl_ns;
}
