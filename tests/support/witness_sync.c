/* Preloaded into every process of a run: notes writes, syncs and renames of files in order.
   One line each in the file $SYNC_WITNESS: "W path" (first write since a sync), "S path",
   "R old new". Paths are absolute. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 4096
static char dirty[FILES];

static void note(const char *kind, const char *one, const char *two) {
  const char *path = getenv("SYNC_WITNESS");
  char line[3 * PATH_MAX];
  if (!path) return;
  int n = snprintf(line, sizeof line, two ? "%s\t%s\t%s\n" : "%s\t%s\n", kind, one, two);
  int file = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT, 0600);
  if (file < 0) return;
  syscall(SYS_write, file, line, n);
  syscall(SYS_close, file);
}

static int of_file(int file, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t n = readlink(link, path, PATH_MAX - 1);
  if (n <= 0 || path[0] != '/') return 0;
  path[n] = 0;
  return 1;
}

static void wrote(int file) {
  char path[PATH_MAX];
  if (file < 0 || file >= FILES || dirty[file] || !of_file(file, path)) return;
  dirty[file] = 1;
  note("W", path, NULL);
}

static void synced(int file) {
  char path[PATH_MAX];
  if (!of_file(file, path)) return;
  if (file < FILES) dirty[file] = 0;
  note("S", path, NULL);
}

static void renamed(const char *old, const char *new) {
  char one[PATH_MAX], folder[PATH_MAX], two[2 * PATH_MAX];
  char *slash;
  if (!realpath(new, one)) return;
  strncpy(folder, old, sizeof folder - 1);
  folder[sizeof folder - 1] = 0;
  slash = strrchr(folder, '/');
  if (slash) *slash = 0; else strcpy(folder, ".");
  char there[PATH_MAX];
  if (!realpath(*folder ? folder : "/", there)) return;
  snprintf(two, sizeof two, "%s/%s", there, slash ? slash + 1 : old);
  note("R", two, one);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int close(int file) {
  if (file >= 0 && file < FILES) dirty[file] = 0;
  return REAL(close)(file);
}
ssize_t write(int file, const void *data, size_t n) { wrote(file); return REAL(write)(file, data, n); }
ssize_t writev(int file, const struct iovec *parts, int n) { wrote(file); return REAL(writev)(file, parts, n); }
ssize_t pwrite64(int file, const void *data, size_t n, off64_t at) { wrote(file); return REAL(pwrite64)(file, data, n, at); }
int fsync(int file) { int status = REAL(fsync)(file); if (!status) synced(file); return status; }
int fdatasync(int file) { int status = REAL(fdatasync)(file); if (!status) synced(file); return status; }
int rename(const char *old, const char *new) {
  int status = REAL(rename)(old, new);
  if (!status) renamed(old, new);
  return status;
}
int renameat(int a, const char *old, int b, const char *new) {
  int status = REAL(renameat)(a, old, b, new);
  if (!status && a == AT_FDCWD && b == AT_FDCWD) renamed(old, new);
  return status;
}
