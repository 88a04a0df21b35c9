/// .stim.csv: what is read and written, what is said of a wrong one; folders as tables; `stimuli:` of a config.
#include "striate/stimuli/source.hpp"
#include "striate/stimuli/stim_table.hpp"

#include "brain_test.hpp"

namespace striate {
namespace {

using namespace testing;
namespace fs = std::filesystem;
using Words = std::vector<std::string>;

class StimuliTable : public ::testing::Test {
 protected:
  StimTable read(std::string const& text) {
    write_bytes(file_, text);
    return read_stim_table(file_);
  }
  void wrong(std::string const& text, std::string const& message) {
    write_bytes(file_, text);
    expect_error([&] { (void)read_stim_table(file_); }, Exit::data, message);
  }
  TempDir dir_;
  fs::path file_ = dir_ / "a.stim.csv";
};

TEST_F(StimuliTable, OfDnnBrain) {
  StimTable const table = read(
      "type=image\npath=E:\\data\\images\ntitle=ImageNet images in all 5000scenes runs of sub-CSI1_ses-01\n"
      "data=stimID,label,onset,duration,response,RT\n"
      "n01930112_19568.JPEG,111,6.0367,0.9678,2,3.6309\nn03733281_29214.JPEG,646,16.0122,0.9837,2,4.2031");
  EXPECT_EQ(table.type, "image");
  EXPECT_EQ(table.rows(), 2U);
  EXPECT_EQ(table.ids(), (Words{"n01930112_19568.JPEG", "n03733281_29214.JPEG"}));
  EXPECT_EQ(table.columns, (Words{"stimID", "label", "onset", "duration", "response", "RT"}));
  EXPECT_EQ(table.column("RT"), (Words{"3.6309", "4.2031"}));
  ASSERT_EQ(table.header.size(), 1U);
  EXPECT_EQ(table.header[0].second, "ImageNet images in all 5000scenes runs of sub-CSI1_ses-01");
  EXPECT_TRUE(table.has("onset"));
  EXPECT_FALSE(table.has("Onset"));
}

TEST_F(StimuliTable, WhatDnnBrainFailsOn) {
  StimTable const table = read(
      "type=audio\npath=sounds\nurl=https://a.b/?x=1&y=2\nnote=\ndata=stimID,label,comment,onset\n"
      "a.wav,,free text,\nb.wav,2,\"with, comma and \"\"quotes\"\"\",1.5\n");
  EXPECT_EQ(table.type, "audio");
  EXPECT_EQ(table.header[0], (std::pair<std::string, std::string>("url", "https://a.b/?x=1&y=2")));
  EXPECT_EQ(table.header[1], (std::pair<std::string, std::string>("note", "")));
  EXPECT_EQ(table.column("label"), (Words{"", "2"}));
  EXPECT_EQ(table.column("comment"), (Words{"free text", "with, comma and \"quotes\""}));
  EXPECT_EQ(table.column("onset"), (Words{"", "1.5"}));
  EXPECT_EQ(table.folder, dir_ / "sounds");
  EXPECT_EQ(table.file_of(1), dir_ / "sounds" / "b.wav");
}

TEST_F(StimuliTable, LineEndsMarksBlanksSpaces) {
  std::string const plain = "type=image\npath=.\ndata=stimID,label\na.jpg,1\nb c.jpg,2\n";
  Words const ids{"a.jpg", "b c.jpg"}, labels{"1", "2"};
  std::string crlf;
  for (char const c : plain) crlf += c == '\n' ? "\r\n" : std::string(1, c);
  for (std::string const& text :
       {plain, crlf, "\xEF\xBB\xBF" + plain, "\xEF\xBB\xBF" + crlf, plain.substr(0, plain.size() - 1),
        std::string(
            "\n type = image \n\n path = . \n\ndata= stimID , label\n\n a.jpg ,\t1\n   \n\"b c.jpg\" , \"2\" \n\n"),
        std::string("type=image,\npath=.,\ndata=stimID,label\na.jpg,1\nb c.jpg,2\n")}) {
    StimTable const table = read(text);
    EXPECT_EQ(table.ids(), ids) << text;
    EXPECT_EQ(table.column("label"), labels) << text;
    EXPECT_EQ(table.type, "image");
    EXPECT_EQ(table.folder, dir_.path() / "") << text;
  }
  EXPECT_EQ(read("type=image\npath=.\ndata=stimID\n\" a,b.jpg\"\n").ids(), Words{" a,b.jpg"});
  EXPECT_EQ(read("type=image\npath=/data\ndata=stimID\na\na\n").ids(), (Words{"a", "a"}));  // repeats are allowed
  EXPECT_EQ(read("type=image\npath=/data\ndata=stimID\nsub/a.jpg\n").file_of(0), "/data/sub/a.jpg");
}

TEST_F(StimuliTable, KindsOfStimuli) {
  for (auto const* type : {"image", "video", "video_clip", "audio"})
    EXPECT_EQ(read(std::string("type=") + type + "\npath=.\ndata=stimID\n1\n").type, type);
  wrong("type=vidoe\npath=.\ndata=stimID\n1\n",
        "a.stim.csv: line 1 gives the unknown type `vidoe`; did you mean video?");
  wrong("type=smell\npath=.\ndata=stimID\n1\n",
        "a.stim.csv: line 1 gives the unknown type `smell`; known: image, video, video_clip, audio, array");
}

TEST_F(StimuliTable, WrongHeaders) {
  wrong("path=.\ndata=stimID\na\n", "a.stim.csv has no line `type=…` before `data=`; add type=image");
  wrong("type=image\ndata=stimID\na\n",
        "a.stim.csv has no line `path=…` before `data=`; add the folder of the stimuli, relative to the file");
  wrong("type=image\npath=.\n",
        "a.stim.csv has no line `data=stimID,…`, which names the columns; add it before the rows");
  wrong("", "a.stim.csv has no line `data=stimID,…`, which names the columns; add it before the rows");
  wrong("type=image\npath=.\na.jpg,1\n",
        "a.stim.csv: line 3 is neither `key=value` nor `data=…`; the rows come after the line `data=stimID,…`");
  wrong("stimID,label\na.jpg,1\n",
        "a.stim.csv: line 1 is neither `key=value` nor `data=…`; the rows come after the line `data=stimID,…`");
  wrong("type=image\npath=.\npath=b\ndata=stimID\na\n", "a.stim.csv: line 3 gives `path=` a second time; keep one");
  wrong("type=image\npath=\ndata=stimID\na\n",
        "a.stim.csv: line 2 gives an empty `path=`; write the folder of the stimuli, or `path=.`");
  wrong("type=image\npath=.\n\ndata=label,stimID\n1,a\n",
        "a.stim.csv: line 4 begins with the column `label`; the first column is stimID");
  wrong("type=image\npath=.\ndata=\na\n", "a.stim.csv: line 3 leaves column 1 of `data=` without a name");
  wrong("type=image\npath=.\ndata=stimID,label,\na,1,2\n",
        "a.stim.csv: line 3 leaves column 3 of `data=` without a name");
  wrong("type=image\npath=.\ndata=stimID,label,label\na,1,2\n", "a.stim.csv: line 3 names the column `label` twice");
}

TEST_F(StimuliTable, WrongRows) {
  std::string const head = "type=image\npath=.\ndata=stimID,label\n";
  wrong(head, "a.stim.csv has no row after its `data=` line; add one line a stimulus");
  wrong(head + "a,1\nb\n",
        "a.stim.csv: line 5 has 1 field but `data=` names 2 columns (stimID, label); quote a field that holds a comma");
  wrong(
      head + "\na,1,2\n",
      "a.stim.csv: line 5 has 3 fields but `data=` names 2 columns (stimID, label); quote a field that holds a comma");
  wrong(head + ",1\n", "a.stim.csv: line 4 has an empty stimID; every row needs one");
  wrong(head + "\"a,1\n",
        "a.stim.csv: line 4 has a quote that is not closed; double a quote that belongs to a field (\"\")");
  wrong(head + "\"a\"b,1\n",
        "a.stim.csv: line 4 has text behind a closing quote; quote the whole field, with \"\" for a quote in it");
  wrong("type=image\rpath=.\rdata=stimID\ra\r",
        "a.stim.csv: line 1 ends in a lone carriage return (an old Macintosh file); save it with Unix line ends");
  wrong(head + std::string("a\0b,1\n", 6), "a.stim.csv is no text file");
  wrong("\xFF\xFEt", "a.stim.csv is UTF-16 text; save it as UTF-8");
}

TEST_F(StimuliTable, FilesThatCannotBeRead) {
  std::string const none = (dir_ / "none.stim.csv").string();
  expect_error([&] { (void)read_stim_table(none); }, Exit::no_input,
               none + " does not exist; check the path (it is relative to the config file)");
  expect_error([&] { (void)read_stim_table(dir_.path()); }, Exit::no_input,
               dir_.path().string() + " is a folder; write {folder: " + dir_.path().string() + "} to take its images");
}

TEST_F(StimuliTable, MissingColumns) {
  StimTable const table = read("type=image\npath=.\ndata=stimID,session\na,1\n");
  expect_error([&] { (void)table.column("sesion"); }, Exit::data,
               "a.stim.csv has no column `sesion`; did you mean `session`? (its columns: stimID, session)");
  expect_error([&] { (void)table.column("zzzzzzzzzzz"); }, Exit::data,
               "a.stim.csv has no column `zzzzzzzzzzz` (its columns: stimID, session)");
}

TEST_F(StimuliTable, WritesWhatItReads) {
  StimTable table = read(
      "type=video_clip\npath=clips\nurl=a=b\ndata=stimID,\"a, b\",label\n\"x, y.mp4\",\"say \"\"hi\"\"\",\n z.mp4,\" "
      "pad \",3\n");
  fs::path const copy = dir_ / "copy.stim.csv";
  write_stim_table(copy, table);
  StimTable const again = read_stim_table(copy);
  EXPECT_EQ(again.type, table.type);
  EXPECT_EQ(again.folder, table.folder);
  EXPECT_EQ(again.header, table.header);
  EXPECT_EQ(again.columns, table.columns);
  EXPECT_EQ(again.values, table.values);
  EXPECT_EQ(again.column("label"), (Words{"", "3"}));
  EXPECT_EQ(again.column("a, b"), (Words{"say \"hi\"", " pad "}));

  table = read("type=image\npath=/data/i\ndata=stimID,label\na.jpg,1\n");
  write_stim_table(copy, table);
  EXPECT_EQ(bytes_of(copy), "type=image\npath=/data/i\ndata=stimID,label\na.jpg,1\n");  // byte for byte DNNBrain's form
  table.values[1][0] = "two\nlines";
  expect_error([&] { write_stim_table(copy, table); }, Exit::data,
               "copy.stim.csv cannot hold the field `two`, which has a line end in it; rename it");
  table.values[1][0] = "1";
  table.header = {{"a=b", "c"}};
  expect_error([&] { write_stim_table(copy, table); }, Exit::data, "copy.stim.csv cannot hold the header line `a=b`",
               true);
  table.header.clear();
  expect_error([&] { write_stim_table(dir_ / "no" / "folder.stim.csv", table); }, Exit::cant_create,
               "cannot be written", true);
}

TEST_F(StimuliTable, Folders) {
  fs::path const root = dir_ / "images";
  for (auto const* name : {"b/2.JPG", "b/10.jpg", "a/z.Png", "a/deep/y.jpeg", "top.png", ".hidden.jpg", "a/._z.png",
                           "notes.txt", "c/x.gif"}) {
    fs::create_directories((root / name).parent_path());
    write_bytes(root / name, "x");
  }
  StimTable const table = stim_table_of_folder(root);
  EXPECT_EQ(table.ids(), (Words{"a/deep/y.jpeg", "a/z.Png", "b/10.jpg", "b/2.JPG", "top.png"}));
  EXPECT_EQ(table.columns, (Words{"stimID", "label"}));
  EXPECT_EQ(table.column("label"), (Words{"a", "a", "b", "b", ""}));
  EXPECT_EQ(table.folder, root);
  EXPECT_EQ(table.type, "image");
  EXPECT_TRUE(fs::exists(table.file_of(0)));
  fs::create_directory_symlink(root, root / "b" / "loop");  // ends all the same
  EXPECT_EQ(stim_table_of_folder(root).ids(), table.ids());
  write_bytes(dir_ / "plain" / "x", "");
  fs::create_directories(dir_ / "plain");
  expect_error([&] { (void)stim_table_of_folder(dir_ / "plain"); }, Exit::no_input,
               (dir_ / "plain").string() + " holds no image (.jpg, .jpeg or .png), nor do its sub-folders");
  write_bytes(dir_ / "plain" / "1.png", "x");
  EXPECT_EQ(stim_table_of_folder(dir_ / "plain").columns, Words{"stimID"});
  expect_error([&] { (void)stim_table_of_folder(dir_ / "none"); }, Exit::no_input,
               (dir_ / "none").string() + " does not exist; `folder:` needs a folder of images");
  expect_error([&] { (void)stim_table_of_folder(root / "top.png"); }, Exit::no_input,
               (root / "top.png").string() + " is no folder; `folder:` needs a folder of images");
}

TEST_F(StimuliTable, RowsSayWhereStimuliLie) {
  auto const rows =
      stimulus_rows(read("type=image\npath=/p\ndata=stimID,file,crop_left,crop_top,crop_right,crop_bottom,start\n"
                         "a#1,a.jpg,1,2,30,40,8:15\n\"b, c.png\",,,,,,\n"));
  EXPECT_EQ(rows[0].file, "/p/a.jpg");
  EXPECT_EQ(rows[0].box->left, 1U);
  EXPECT_EQ(rows[0].box->bottom, 40U);
  EXPECT_EQ(rows[0].start, 0);  // of a picture: a free column
  EXPECT_EQ(rows[1].file, "/p/b, c.png");
  EXPECT_FALSE(rows[1].box.has_value());
  auto const clips = stimulus_rows(
      read("type=video_clip\npath=.\ndata=stimID,onset,file,start,end\nx,700,m.mp4,1.5,3\ny.mp4,701,,,2\n"));
  EXPECT_EQ(clips[0].file, dir_ / "m.mp4");
  EXPECT_EQ(clips[0].start, 1.5);
  EXPECT_EQ(clips[0].end, 3);
  EXPECT_EQ(clips[1].file, dir_ / "y.mp4");
  EXPECT_EQ(clips[1].end, 2);
  auto const frames = stimulus_rows(read("type=video\npath=m/a.mp4\ndata=stimID,start\n3,x\n1.0,\n"));
  EXPECT_EQ(frames[0].file, dir_ / "m/a.mp4");
  EXPECT_EQ(frames[0].frame, 3U);
  EXPECT_EQ(frames[1].frame, 1U);
  auto const named =
      stimulus_rows(read("type=video\npath=m/a.mp4\ndata=stimID,frame,file\nfirst,1,b.mp4\nsecond,2,\n"));
  EXPECT_EQ(named[0].file, dir_ / "m/b.mp4");
  EXPECT_EQ(named[1].frame, 2U);
  for (auto const& [text, message] : std::map<std::string, std::string>{
           {"type=video\npath=.\ndata=stimID\n0\n",
            "row 1 (0) has stimID 0, but frames of a video are numbered from 1"},
           {"type=video\npath=.\ndata=stimID\n1.5\n", "has stimID 1.5, but frames"},
           {"type=video\npath=.\ndata=stimID\nx\n", "row 1 (x) has `x` in the column stimID, which is no number"},
           {"type=audio\npath=.\ndata=stimID,start\na,-1\n", "has start -1 s, but seconds of a file count from 0"},
           {"type=audio\npath=.\ndata=stimID,start,end\na,2,2\n", "ends at 2 s, which is not after its start at 2 s"},
           {"type=audio\npath=.\ndata=stimID,end\na,two\n", "has `two` in the column end, which is no number"},
           {"type=image\npath=.\ndata=stimID,crop_left\na,1\n", "has 1 of the columns crop_left, crop_top"},
           {"type=image\npath=.\ndata=stimID,crop_left,crop_top,crop_right,crop_bottom\na,1,,3,4\n",
            "has only a part of a crop box; fill its four cells, or none"},
           {"type=image\npath=.\ndata=stimID,crop_left,crop_top,crop_right,crop_bottom\na,1,2,1,4\n",
            "has an empty crop box: 1, 2, 1, 4 (left, top, right, bottom)"},
           {"type=image\npath=.\ndata=stimID,crop_left,crop_top,crop_right,crop_bottom\na,-1,2,1,4\n",
            "has crop_left -1, which is no whole number of pixels inside the picture"}})
    expect_error([&] { (void)stimulus_rows(read(text)); }, Exit::data, message, true);
}

struct Config {
  StimuliConfig stimuli;
};
void describe(Schema& schema, Config& config) { schema("stimuli", config.stimuli, {.doc = "stimuli"}); }

StimuliConfig configured(std::string const& text) {
  Config config;
  Schema schema;
  describe(schema, config);
  read_config(schema, {.file = "/base/c.yaml", .text = text, .sets = {}});
  return config.stimuli;
}

TEST_F(StimuliTable, Config) {
  EXPECT_TRUE(StimuliConfig{}.empty());
  EXPECT_EQ(configured("stimuli: a/b.stim.csv").path, "/base/a/b.stim.csv");
  EXPECT_EQ(configured("stimuli: /x/b.stim.csv").path, "/x/b.stim.csv");
  StimuliConfig const folder = configured("stimuli: {folder: ../images}");
  EXPECT_EQ(folder.path, "/images");
  EXPECT_TRUE(folder.is_folder);
  EXPECT_EQ(ConfigType<StimuliConfig>::write(folder).dump(), R"({"folder":"/images"})");
  EXPECT_EQ(ConfigType<StimuliConfig>::write({.path = "/a", .is_folder = false}).dump(), R"("/a")");
  StimuliConfig const table = configured("stimuli: {table: t.stim.csv, window: {length: 2.5, step: 0.5}}");
  EXPECT_EQ(table.path, "/base/t.stim.csv");
  EXPECT_EQ(table.step, 0.5);
  EXPECT_EQ(ConfigType<StimuliConfig>::write(table).dump(),
            R"({"table":"/base/t.stim.csv","window":{"length":2.5,"step":0.5}})");
  EXPECT_EQ(configured("stimuli: {folder: a, type: audio, window: {length: 3}}").step, 3);
  StimuliConfig const array = configured("stimuli: {hdf5: \"f.h5:/group/data\", ids: names}");
  EXPECT_EQ(array.path, "/base/f.h5");
  EXPECT_EQ(array.dataset, "group/data");
  EXPECT_EQ(ConfigType<StimuliConfig>::write(array).dump(), R"({"hdf5":"/base/f.h5:/group/data","ids":"names"})");
  EXPECT_TRUE(configured("stimuli: {npy: a.npy}").is_array());
  StimuliConfig const video = configured("stimuli: {video: a.mp4, every: 0.5}");
  EXPECT_EQ(ConfigType<StimuliConfig>::write(video).dump(), R"({"every":0.5,"video":"/base/a.mp4"})");
  std::string const forms =
      "stimuli: needs a .stim.csv file, {table: FILE}, {folder: DIR}, {video: FILE, every: SECONDS}, {hdf5: "
      "\"FILE:/DATASET\"} or {npy: FILE}";
  for (auto const& [text, message] : std::map<std::string, std::string>{
           {"stimuli: {foldr: a}", "stimuli.foldr: is no known key; did you mean `folder`?"},
           {"stimuli: {picture: a}",
            "stimuli.picture: is no known key; known: table, folder, video, every, hdf5, npy, ids, type, window"},
           {"stimuli: [a, b]", forms},
           {"stimuli: {}", forms},
           {"stimuli: {window: {length: 2}}", forms},
           {"stimuli: {folder: [a]}", "stimuli.folder: needs one word or path"},
           {"stimuli: {folder: a, table: b}", "stimuli.table: stands beside another list of stimuli; keep one"},
           {"stimuli: {folder: a, type: movie}", "stimuli.type: `movie` is none of image | video_clip | audio | array"},
           {"stimuli: {hdf5: a.h5}", "stimuli.hdf5: needs a file and a dataset in it"},
           {"stimuli: {npy: a.npy, ids: b}", "stimuli: has `ids`, which goes with `hdf5` alone"},
           {"stimuli: {video: a.mp4}", "stimuli: needs `video` and `every` together, or neither"},
           {"stimuli: {folder: a, every: 2}", "stimuli: needs `video` and `every` together, or neither"},
           {"stimuli: {table: a, window: 2}", "stimuli.window: must be {length: SECONDS, step: SECONDS}"},
           {"stimuli: {table: a, window: {step: 2}}", "stimuli.window: needs `length`"},
           {"stimuli: {table: a, window: {length: 0}}", "stimuli.window.length: must be a number of seconds above 0"}})
    expect_error([&] { (void)configured(text); }, Exit::config, message, true);
  expect_error([&] { (void)load_stimuli(configured("stimuli: {folder: /nowhere/x}")); }, Exit::no_input,
               "/nowhere/x does not exist; `folder:` needs a folder of images");
}

}  // namespace
}  // namespace striate
