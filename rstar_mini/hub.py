"""Models and data sets of the Hugging Face Hub: found here, fetched, or sent; what goes wrong is told in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import (
    DryRunFileInfo,
    HfApi,
    constants,
    get_cached_repo_tree,
    hf_hub_download,
    is_offline_mode,
    snapshot_download,
)
from huggingface_hub.errors import (
    CachedRepoTreeNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import tqdm

from rstar_mini.errors import UserError
from rstar_mini.files import check_room
from rstar_mini.paths import home
from rstar_mini.progress import Progress, Silent

# A repository often holds the same weights several times: these are what transformers reads.
MODEL_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "*.tiktoken", "README.md", "LICENSE*"]
NOT_MODEL_FILES = ["*/*", "consolidated*"]
HUB_CACHE = Path(constants.HF_HUB_CACHE)


@dataclass(frozen=True, slots=True)
class Repo:
    """A model or a data set of the Hub, or one configuration of a data set.

    `cache` is the folder of such files, by default that of the Hub's client.
    """

    name: str
    kind: Literal["model", "dataset"]
    cache: Path | None = None
    config: str | None = None

    def __str__(self) -> str:
        return f"the {'model' if self.kind == 'model' else 'data set'} '{self.name}'"

    def snapshot(self, progress: Progress | None = None) -> Path:
        """The folder with its files: what is on this machine, else fetched.

        What is here is not compared with the Hub, so that a model does not change under a run that goes on.

        Raises:
            UserError: it is not here, and cannot be fetched; in one line why, and what to do.
        """
        return self.here() or self.fetch(self.missing(), progress or Silent())

    def file(self, name: str) -> Path:
        """One file of it, from this machine or fetched.

        Raises:
            UserError: it is not here, and cannot be fetched.
        """
        with told(self):
            return Path(hf_hub_download(self.name, name, repo_type=self.kind, cache_dir=self.cache))

    def here(self) -> Path | None:
        """The folder of its files on this machine, without a look at the network; None when they are not all here."""
        with told(self):
            try:
                folder = Path(snapshot_download(self.name, local_files_only=True, **self._what()))
                if not is_offline_mode():  # else what other programs have left here, perhaps in part, has to do
                    get_cached_repo_tree(self.name, repo_type=self.kind, cache_dir=self.cache)
            except (LocalEntryNotFoundError, CachedRepoTreeNotFoundError):
                return None
        return folder

    def missing(self) -> list[DryRunFileInfo]:
        """The files that have to be fetched: those that are not here. One whose digest is wrong is removed before.

        Raises:
            UserError: the Hub does not say, or does not give the files to this user.
        """
        with told(self):
            files: list[DryRunFileInfo] = snapshot_download(self.name, dry_run=True, **self._what())
            here = [file for file in files if Path(file.local_path).exists()]
            wrong = self._remove_wrong(here[0].commit_hash) if here else set()
        wanted = [file for file in files if file.will_download or file.filename in wrong]
        return sorted(wanted, key=lambda file: file.filename)

    def fetch(self, files: Sequence[DryRunFileInfo], progress: Progress) -> Path:
        """Fetch `files` (of `missing`), one after the other: those that are done need not be fetched again.

        Raises:
            UserError: no room on the disk, no network, or files that do not have the Hub's digest.
        """
        check_room(self.cache or HUB_CACHE, size(files))
        progress.stage(f"{self}, MB", size(files) // 10**6)
        with told(self):
            for file in files:
                hf_hub_download(
                    self.name,
                    file.filename,
                    repo_type=self.kind,
                    revision=file.commit_hash,
                    cache_dir=self.cache,
                    tqdm_class=_bar(progress),
                )
            folder = Path(snapshot_download(self.name, **self._what()))  # notes that the snapshot is whole
            wrong = self._remove_wrong(folder.name)
        if wrong:
            raise UserError(f"{self}: {', '.join(sorted(wrong))} came with a wrong digest; give the same command again")
        return folder

    def _what(self) -> dict[str, Any]:
        where = {"repo_type": self.kind, "cache_dir": self.cache}
        if self.kind == "model":
            return where | {"allow_patterns": MODEL_FILES, "ignore_patterns": NOT_MODEL_FILES}
        return where | ({"allow_patterns": ["README.md", f"*{self.config}/*"]} if self.config else {})

    def _remove_wrong(self, commit: str) -> set[str]:
        """Remove the files of a commit whose digest is not the Hub's; returns their names."""
        found = HfApi().verify_repo_checksums(self.name, repo_type=self.kind, revision=commit, cache_dir=self.cache)
        wrong = {mismatch["path"] for mismatch in found.mismatches}
        for name in wrong:
            path = found.verified_path / name
            path.resolve().unlink(missing_ok=True)  # the file itself, to which a link may lead
            path.unlink(missing_ok=True)
        return wrong


def size(files: Sequence[DryRunFileInfo]) -> int:
    """Bytes of the files."""
    return sum(file.file_size or 0 for file in files)


def check_login(repo: Repo) -> None:
    """See that somebody is logged in who may write, before any work is done for it.

    Raises:
        UserError: nobody is, or there is no network.
    """
    if is_offline_mode():
        raise UserError(f"{repo} cannot be sent offline; leave out --offline and HF_HUB_OFFLINE, or give --to a folder")
    with told(repo):
        HfApi().whoami()


def publish(folder: Path, repo: Repo) -> str:
    """Send a folder to a repository of the Hub, which is made, private, when it is not there; returns its address.

    Raises:
        UserError: the Hub does not let this login write there, or there is no network.
    """
    with told(repo):
        api = HfApi()
        address = api.create_repo(repo.name, repo_type=repo.kind, private=True, exist_ok=True)
        api.upload_folder(repo_id=repo.name, repo_type=repo.kind, folder_path=folder)
    return str(address)


def _bar(progress: Progress) -> type[tqdm]:
    """A bar for the Hub's client that shows nothing itself, and tells `progress` of every megabyte."""
    left = 0

    class Megabytes(tqdm):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options | {"disable": True})

        def update(self, n: float | None = 1) -> None:
            nonlocal left
            whole, left = divmod(left + int(n or 0), 10**6)
            progress.advance(whole)

        def update_transfer(self, n: float | None = 1) -> None:
            """The same bytes a second time, on their way."""

    return Megabytes


@contextmanager
def told(repo: Repo) -> Iterator[None]:
    """What goes wrong between here and the Hub, as one line that says what to do.

    Raises:
        UserError: for every error of the Hub's client.
        OSError: of this machine's files, such as a full disk.
    """
    if repo.cache is None and str(HUB_CACHE).startswith("~"):
        home("HF_HOME")
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the client lets through errors of several network libraries, without a common base
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(_explain(repo, error)) from error


def _explain(repo: Repo, error: BaseException) -> str:
    """The error in words; the client wraps errors in others, and the inmost says what it was."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)

    def has(kind: type[BaseException]) -> bool:
        return any(isinstance(link, kind) for link in chain)

    page = f"{constants.ENDPOINT}/{'datasets/' if repo.kind == 'dataset' else ''}{repo.name}"
    login = "log in with: hf auth login"
    if has(OfflineModeIsEnabled):
        way_out = "run rstar-mini fetch with this recipe where there is network"
        return f"offline (--offline or HF_HUB_OFFLINE), and {repo} is not on this machine; {way_out}"
    if has(GatedRepoError):
        return f"{repo} is gated; ask for access on {page}, then {login}"
    if has(RepositoryNotFoundError):
        return f"the Hub does not know {repo}, or it is private; look at the name, give a folder or file, or {login}"
    if has(HFValidationError):
        return f"'{repo.name}' is neither a folder or file that is there, nor a name on the Hub, such as org/name"
    refused = [link for link in chain if isinstance(link, HfHubHTTPError) and link.response.status_code in (401, 403)]
    if refused or has(LocalTokenNotFoundError):
        return f"the Hub lets nobody at {repo} without a login that may do this; {login}"
    reason = (str(chain[-1]).strip().splitlines() or [type(chain[-1]).__name__])[0]
    return f"cannot get at {repo} on {constants.ENDPOINT}: {reason}; connect, or try again later, what is here is kept"
