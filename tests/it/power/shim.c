/* A disk that loses what was not flushed, for one folder of one process (LD_PRELOAD, Linux).
 *
 * Files are written as ever, but of every 512-byte sector that was written since its last flush the
 * old content is remembered. At the POWER_CUT_AT-th write, flush, truncation or removal the power
 * goes: each such sector keeps its new content with a probability of POWER_KEEP percent, else it is
 * put back; removals and new names that no flush has made lasting may be undone; the process ends.
 *
 * POWER_DIR       the folder; -shm and .lock files in it are left alone
 * POWER_SEED      of the dice
 * POWER_DEAF      flushes report success and do nothing: a lying disk, or synchronous=OFF
 * POWER_COUNT     where to write how many operations there were
 * POWER_TRIGGERS  a folder: while it holds "eio" flushes fail, while it holds "full" or
 *                 "quota" writes do; "cut" and "cut-after-flush" take the power at the next
 *                 operation or right after the next flush
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECTOR 512
#define FDS 4096
#define NAME 512

struct sector {
    off_t number;
    unsigned char old[SECTOR];
};

struct file {
    char path[NAME + 32];
    dev_t dev;
    ino_t ino;
    off_t lasting_size;
    int is_new;                 /* its name may vanish */
    char removed_from[NAME];    /* where it may come back */
    struct sector *dirty;
    size_t dirty_count, dirty_room;
    struct file *next;
};

static struct file *files, *by_fd[FDS];
static char is_folder[FDS];
static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static char dir[NAME], triggers[NAME], count_to[NAME];
static long cut_at, keep_percent, operations;
static int deaf, is_ready;
static uint64_t dice;

static int (*real_open)(const char *, int, ...);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_unlink)(const char *);
static int (*real_rename)(const char *, const char *);
static int (*real_close)(int);

static void from_env(const char *name, char *into) {
    const char *value = getenv(name);
    snprintf(into, NAME, "%s", value ? value : "");
}

static void prepare(void) {
    if (is_ready) return;
    real_open = dlsym(RTLD_NEXT, "open64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_rename = dlsym(RTLD_NEXT, "rename");
    real_close = dlsym(RTLD_NEXT, "close");
    char number[NAME];
    from_env("POWER_DIR", dir);
    from_env("POWER_TRIGGERS", triggers);
    from_env("POWER_COUNT", count_to);
    from_env("POWER_CUT_AT", number);
    cut_at = atol(number);
    from_env("POWER_KEEP", number);
    keep_percent = atol(number);
    from_env("POWER_SEED", number);
    dice = strtoull(number, NULL, 10) * 0x9e3779b97f4a7c15u + 1;
    deaf = getenv("POWER_DEAF") != NULL;
    is_ready = 1;
}

__attribute__((constructor)) static void begin(void) { prepare(); }

__attribute__((destructor)) static void end(void) {
    if (*count_to) {
        int fd = real_open(count_to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dprintf(fd, "%ld", operations);
        real_close(fd);
    }
    for (struct file *file = files; file; file = file->next)
        if (*file->removed_from) real_unlink(file->path);
}

/* Whether something is kept; xorshift. */
static int kept(void) {
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (long)(dice % 100) < keep_percent;
}

static int ends_with(const char *path, const char *ending) {
    size_t length = strlen(path), tail = strlen(ending);
    return length >= tail && strcmp(path + length - tail, ending) == 0;
}

static int is_ours(const char *path) {
    size_t length = strlen(dir);
    return length && strncmp(path, dir, length) == 0 && !ends_with(path, "-shm") &&
           !ends_with(path, ".lock") && strlen(path) < NAME - 32;
}

static struct file *of(int fd) { return fd >= 0 && fd < FDS ? by_fd[fd] : NULL; }

static off_t size_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : found.st_size;
}

/* Remembers what `count` sectors from `first` hold now, unless older content is known. */
static void remember(struct file *file, int fd, off_t first, off_t last) {
    for (off_t number = first; number <= last; number++) {
        size_t at = 0;
        while (at < file->dirty_count && file->dirty[at].number != number) at++;
        if (at < file->dirty_count) continue;
        if (file->dirty_count == file->dirty_room) {
            file->dirty_room = file->dirty_room ? file->dirty_room * 2 : 64;
            file->dirty = realloc(file->dirty, file->dirty_room * sizeof *file->dirty);
        }
        struct sector *sector = &file->dirty[file->dirty_count++];
        sector->number = number;
        memset(sector->old, 0, SECTOR);
        if (pread(fd, sector->old, SECTOR, number * SECTOR) >= 0) continue;
        /* Opened for writing only. Closing ours drops the process's locks on the file, which only
           SQLite has, and SQLite reads what it writes. */
        char name[64];
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        int own = real_open(name, O_RDONLY);
        if (own < 0 || pread(own, sector->old, SECTOR, number * SECTOR) < 0) abort();
        real_close(own);
    }
}

/* The file is gone for good; its inode may come back as another file. */
static void forget(struct file *file) {
    file->ino = 0;
    file->dirty_count = 0;
    *file->path = *file->removed_from = 0;
}

static void lose(struct file *file) {
    if (!file->ino) return;
    if (file->is_new && !kept()) {
        real_unlink(file->path);
        return;
    }
    int fd = real_open(file->path, O_RDWR);
    if (fd < 0) return;
    off_t now = size_of(fd), size = now;
    int was_cut_short = now < file->lasting_size && kept();
    if (now < file->lasting_size && !was_cut_short) size = file->lasting_size;
    off_t needed = now < file->lasting_size ? size : file->lasting_size;
    for (size_t at = 0; at < file->dirty_count; at++) {
        struct sector *sector = &file->dirty[at];
        off_t from = sector->number * SECTOR, to = from + SECTOR;
        if (from < now && kept()) {
            if (needed < (to < now ? to : now)) needed = to < now ? to : now;
        } else if (!(was_cut_short && from >= now)) {
            real_pwrite(fd, sector->old, SECTOR, from);
        }
    }
    real_ftruncate(fd, needed);
    real_close(fd);
    if (*file->removed_from && !kept() && access(file->removed_from, F_OK) != 0)
        real_rename(file->path, file->removed_from);
    else if (*file->removed_from)
        real_unlink(file->path);
}

static int has_trigger(const char *name);

static void power_goes(void) {
    for (struct file *file = files; file; file = file->next) lose(file);
    syscall(SYS_exit_group, 86);
}

/* Counts an operation that has just been done. */
static void done(void) {
    if (++operations == cut_at || has_trigger("cut")) power_goes();
}

static int has_trigger(const char *name) {
    char path[NAME + 16];
    if (!*triggers) return 0;
    snprintf(path, sizeof path, "%s/%s", triggers, name);
    return access(path, F_OK) == 0;
}

static int opened(int fd, const char *path, int flags, int existed, off_t size) {
    struct stat found;
    if (fd < 0 || fd >= FDS || fstat(fd, &found)) return fd;
    pthread_mutex_lock(&mutex);
    is_folder[fd] = S_ISDIR(found.st_mode);
    by_fd[fd] = NULL;
    if (S_ISREG(found.st_mode) && (flags & O_ACCMODE) != O_RDONLY) {
        struct file *file = files;
        while (file && (file->ino != found.st_ino || file->dev != found.st_dev)) file = file->next;
        if (!file) {
            file = calloc(1, sizeof *file);
            file->dev = found.st_dev;
            file->ino = found.st_ino;
            file->is_new = !existed;
            file->lasting_size = existed ? size : 0;
            file->next = files;
            files = file;
            snprintf(file->path, NAME, "%s", path);
        }
        by_fd[fd] = file;
    }
    pthread_mutex_unlock(&mutex);
    return fd;
}

static int open_with(const char *path, int flags, mode_t mode) {
    prepare();
    if (!is_ours(path)) {
        int fd = real_open(path, flags, mode);
        if (fd >= 0 && fd < FDS) by_fd[fd] = NULL, is_folder[fd] = 0;
        return fd;
    }
    struct stat found;
    int existed = stat(path, &found) == 0;
    if (existed && (flags & O_TRUNC) && found.st_size > 0) {
        /* As a truncation of its own, so that it can be undone. */
        int fd = opened(real_open(path, O_RDWR), path, O_RDWR, 1, found.st_size);
        if (fd >= 0) {
            ftruncate(fd, 0);
            close(fd);
        }
    }
    return opened(real_open(path, flags & ~O_TRUNC, mode), path, flags, existed,
                  existed ? found.st_size : 0);
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                    \
        va_end(rest);                                                                              \
        return open_with(path, flags, mode);                                                       \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                               \
    int name(int folder, const char *path, int flags, ...) {                                       \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                    \
        va_end(rest);                                                                              \
        if (*path == '/' || folder == AT_FDCWD) return open_with(path, flags, mode);               \
        int fd = syscall(SYS_openat, folder, path, flags, mode);                                   \
        if (fd >= 0 && fd < FDS) by_fd[fd] = NULL, is_folder[fd] = 0;                              \
        return fd;                                                                                 \
    }
OPENAT(openat)
OPENAT(openat64)

static ssize_t write_at(int fd, const void *bytes, size_t length, off_t from, int moves) {
    pthread_mutex_lock(&mutex);
    struct file *file = of(fd);
    ssize_t written;
    int is_full = file && has_trigger("full");
    if (is_full || (file && has_trigger("quota"))) {
        errno = is_full ? ENOSPC : EDQUOT;
        written = -1;
    } else {
        if (file && length) remember(file, fd, from / SECTOR, (from + (off_t)length - 1) / SECTOR);
        written = moves ? real_write(fd, bytes, length) : real_pwrite(fd, bytes, length, from);
        int saved = errno;
        if (file) done();
        errno = saved;
    }
    pthread_mutex_unlock(&mutex);
    return written;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    prepare();
    struct file *file = of(fd);
    if (!file) return real_write(fd, bytes, length);
    int appends = fcntl(fd, F_GETFL) & O_APPEND;
    return write_at(fd, bytes, length, appends ? size_of(fd) : lseek(fd, 0, SEEK_CUR), 1);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t from) {
    prepare();
    return of(fd) ? write_at(fd, bytes, length, from, 0) : real_pwrite(fd, bytes, length, from);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t from) {
    return pwrite(fd, bytes, length, from);
}

int ftruncate(int fd, off_t size) {
    prepare();
    struct file *file = of(fd);
    if (!file) return real_ftruncate(fd, size);
    pthread_mutex_lock(&mutex);
    off_t now = size_of(fd);
    if (size < now) remember(file, fd, size / SECTOR, (now - 1) / SECTOR);
    int result = real_ftruncate(fd, size);
    done();
    pthread_mutex_unlock(&mutex);
    return result;
}

int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int fsync(int fd) {
    prepare();
    struct file *file = of(fd);
    int folder = fd >= 0 && fd < FDS && is_folder[fd];
    if (!file && !folder) return real_fsync(fd);
    pthread_mutex_lock(&mutex);
    int result = 0;
    if (has_trigger("eio")) {
        /* As Linux does: the error is told once, and the pages count as clean. */
        errno = EIO;
        result = -1;
    } else if (!deaf && file) {
        file->dirty_count = 0;
        file->lasting_size = size_of(fd);
        file->is_new = 0;
        if (has_trigger("cut-after-flush")) power_goes();
    } else if (!deaf && folder) {
        for (struct file *each = files; each; each = each->next) {
            each->is_new = 0;
            if (*each->removed_from) {
                real_unlink(each->path);
                forget(each);
            }
        }
    }
    done();
    pthread_mutex_unlock(&mutex);
    return result;
}

int fdatasync(int fd) { return fsync(fd); }

static struct file *at(const char *path) {
    struct stat found;
    if (stat(path, &found)) return NULL;
    struct file *file = files;
    while (file && (file->ino != found.st_ino || file->dev != found.st_dev)) file = file->next;
    return file;
}

int unlink(const char *path) {
    prepare();
    if (!is_ours(path)) return real_unlink(path);
    pthread_mutex_lock(&mutex);
    struct file *file = at(path);
    int result;
    if (file && !*file->removed_from) {
        char away[NAME + 32];
        snprintf(away, sizeof away, "%s.removed%ld", path, operations);
        snprintf(file->removed_from, NAME, "%s", path);
        result = real_rename(path, away);
        snprintf(file->path, sizeof file->path, "%s", away);
    } else {
        result = real_unlink(path);
    }
    int saved = errno;
    if (result == 0) done();
    errno = saved;
    pthread_mutex_unlock(&mutex);
    return result;
}

/* A renaming lasts at once, which is kinder than some disks are: what matters here is content. */
int rename(const char *from, const char *to) {
    prepare();
    if (!is_ours(from)) return real_rename(from, to);
    pthread_mutex_lock(&mutex);
    struct file *replaced = at(to), *file = at(from);
    int result = real_rename(from, to);
    if (result == 0 && replaced) forget(replaced);
    if (result == 0 && file) snprintf(file->path, NAME, "%s", to);
    done();
    pthread_mutex_unlock(&mutex);
    return result;
}

int close(int fd) {
    prepare();
    if (fd >= 0 && fd < FDS) {
        by_fd[fd] = NULL;
        is_folder[fd] = 0;
    }
    return real_close(fd);
}
